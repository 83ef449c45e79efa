/*
 * The learning curve: points of [epoch, loss, accuracy, steps], and records of epochs. Beyond MOST points, pairs are
 * merged, as in byhand.play.playground, which explains it.
 */

export const MOST = 400;

export class Curve {
  constructor(points = [], epochs = []) {
    this.points = points;
    this.epochs = epochs;
    this.grain = largestStep(points);
    this.stride = epochs.length > 2 ? epochs[1].epoch - epochs[0].epoch : 1;
  }

  add(point) {
    const last = this.points.at(-1);
    if (last && last[3] + point[3] <= this.grain) this.points[this.points.length - 1] = joined([last, point]);
    else {
      this.points.push(point);
      this.grain = Math.max(this.grain, point[3]);
    }
    if (this.points.length <= MOST) return;
    this.points = pairs(this.points).map(joined);
    this.grain = largestStep(this.points);
  }

  /** Add the records of new epochs; the fetched state may already have an epoch of the next event. */
  addEpochs(records) {
    for (const record of records) {
      if (record.epoch <= (this.epochs.at(-1)?.epoch ?? 0)) continue;
      if (this.epochs.length && (this.epochs.at(-1).epoch - 1) % this.stride) this.epochs.pop();
      this.epochs.push(record);
      if (this.epochs.length <= MOST) continue;
      this.stride *= 2;
      this.epochs = this.epochs.filter((kept) => (kept.epoch - 1) % this.stride === 0 || kept === record);
    }
  }
}

const largestStep = (points) => points.reduce((most, [, , , steps]) => Math.max(most, steps), 1);

const pairs = (points) => points.filter((_, i) => i % 2 === 0).map((point, i) => [point, points[2 * i + 1]]);

/** Merge two adjacent points: means over their steps. */
function joined([first, second]) {
  if (!second) return first;
  const steps = first[3] + second[3];
  const mean = (k) => (first[k] * first[3] + second[k] * second[3]) / steps;
  return [mean(0), mean(1), mean(2), steps];
}
