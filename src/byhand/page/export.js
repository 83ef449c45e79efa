/*
 * The exported page: a model in one file that needs no server. It unpacks the model, compares its outputs for a few
 * embedded images with Python's, and predicts the class of drawings.
 */

import { Bars } from "./bars.js";
import { byId, numeral, percent } from "./dom.js";
import { Pad } from "./pad.js";
import { paintBytes } from "./paint.js";
import { Reader } from "./reader.js";
import { readsDrawings, recognize } from "./recognize.js";
import { legend, Units } from "./units.js";
import { halves, inflated } from "./unpack.js";

const content = JSON.parse(byId("model").textContent);

async function start() {
  const reader = new Reader(content.description, halves(await inflated(content.weights)));
  const pictures = cut(await inflated(content.test.pictures), reader.shape[0] * reader.shape[1]);
  byId("summary").textContent = reader.summary;
  byId("about").textContent = content.about;
  selfTest(reader, pictures);

  const bars = new Bars(byId("bars"), reader.classes);
  const units = new Units(byId("units"));
  if (reader.firstLayer) {
    units.show(reader.firstLayer, reader.shape);
    byId("legend").append(...legend(reader.firstLayer));
  } else byId("legend").textContent = "The inputs of the first layer are not pixels, so its weights are not shown.";
  const show = ({ message, seen, answers, probabilities }) => {
    const [height, width] = reader.shape;
    paintBytes(byId("seen"), seen ?? new Uint8Array(height * width), height, width);
    bars.show(probabilities ?? null);
    if (reader.firstLayer) units.light(answers ? reader.unitsOf(answers) : null);
    const answer = probabilities ? reader.verdict(probabilities) : message;
    byId("answer").textContent = answer;
    byId("answer").classList.toggle("is-message", !reader.classes.includes(answer));
  };

  const draws = readsDrawings(reader);
  const pad = new Pad(byId("pad"), () => show(recognize(reader, pad.gray())));
  let next = 0;
  byId("clear").onclick = () => pad.clear();
  byId("undo").onclick = () => pad.undo();
  byId("sample").onclick = () => {
    const picture = pictures[next++ % pictures.length];
    if (draws) pad.show(picture, ...reader.shape);
    else show(reader.read(picture));
  };
  if (draws) show({ message: "nothing drawn" });
  else {
    const size = `${reader.shape.join(" × ")} pixels`;
    byId("pad").textContent = `Drawings are for handwriting; this model was trained on images of ${size}. Load a sample.`;
    for (const id of ["clear", "undo"]) byId(id).hidden = true;
    byId("sample").click();
  }
  // For tests.
  window.byhand = { reader, pad, recognize: () => recognize(reader, pad.gray()), pictures };
}

/** Compare the probabilities of the embedded images with Python's. */
function selfTest(reader, pictures) {
  const { probabilities: expected, tolerance } = content.test;
  let largest = 0;
  pictures.forEach((picture, i) => {
    reader.read(picture).probabilities.forEach((p, k) => {
      const difference = Math.abs(p - expected[i][k]);
      if (!(difference <= largest)) largest = difference;
    });
  });
  const isSame = largest <= tolerance;
  const line = byId("self-test");
  line.classList.toggle("is-good", isSame);
  line.classList.toggle("is-bad", !isSame);
  line.textContent = isSame
    ? `✓ Same numbers as Python: ${pictures.length} images, no probability differs by more than ${numeral(largest)}.`
    : `✗ NOT the same numbers as Python: a probability differs by ${percent(largest, 4)}. Do not use this page.`;
}

function cut(bytes, size) {
  return Array.from({ length: bytes.length / size }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

start().catch((error) => {
  const line = byId("self-test");
  line.classList.add("is-bad");
  line.textContent = `✗ This page cannot run in this browser: ${error.message}`;
});
