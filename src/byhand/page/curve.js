/*
 * The learning curve: points of [epoch, loss, accuracy, steps], and records of epochs. Beyond MOST points, pairs are
 * merged, as in byhand.play.playground.
 */

export const MOST = 400;

export class Curve {
  constructor(points = [], epochs = []) {
    this.points = points;
    this.epochs = epochs;
  }

  add(point) {
    this.points.push(point);
    if (this.points.length > MOST) this.points = pairs(this.points).map(joined);
  }

  /** Add the records of new epochs; the fetched state may already have an epoch of the next event. */
  addEpochs(records) {
    const last = this.epochs.at(-1)?.epoch ?? 0;
    this.epochs.push(...records.filter((record) => record.epoch > last));
    while (this.epochs.length > MOST) this.epochs = this.epochs.filter((_, i) => i % 2);
  }
}

const pairs = (points) => points.filter((_, i) => i % 2 === 0).map((point, i) => [point, points[2 * i + 1]]);

/** Merge two adjacent points: means over their steps. */
function joined([first, second]) {
  if (!second) return first;
  const steps = first[3] + second[3];
  const mean = (k) => (first[k] * first[3] + second[k] * second[3]) / steps;
  return [second[0], mean(1), mean(2), steps];
}
