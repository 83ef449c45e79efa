// Figures of the book with several frames: a slider and a button show them one after the other.
for (const figure of document.querySelectorAll(".live")) {
  const frames = [...figure.querySelectorAll(".frame")];
  const form = document.createElement("form");
  form.innerHTML = '<button>Play</button> <input type="range" min="0" step="1"> <output></output>';
  const [button, slider, output] = form.children;
  slider.max = slider.value = frames.length - 1;
  slider.ariaLabel = figure.dataset.label;
  let timer;
  const show = (k) => {
    slider.value = k;
    frames.forEach((frame, i) => (frame.style.display = i === +k ? "" : "none"));
    output.value = slider.ariaValueText = frames[k].dataset.name;
  };
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    button.textContent = "Play";
  };
  slider.addEventListener("input", () => (stop(), show(slider.value)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (timer) return stop();
    if (+slider.value === frames.length - 1) show(0);
    button.textContent = "Pause";
    timer = setInterval(() => (+slider.value < frames.length - 1 ? show(+slider.value + 1) : stop()), 6000 / frames.length);
  });
  figure.append(form);
  show(slider.value);
}
