/*
 * The curve of a training: points of [epoch, loss, accuracy, steps] and a record an epoch. It stays short however long
 * the training gets: beyond MOST, neighbours are joined, as byhand.play.playground does it.
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

  /** A state that was fetched may hold an epoch that the next event tells of once more: it counts once. */
  addEpochs(records) {
    const last = this.epochs.at(-1)?.epoch ?? 0;
    this.epochs.push(...records.filter((record) => record.epoch > last));
    while (this.epochs.length > MOST) this.epochs = this.epochs.filter((_, i) => i % 2);
  }
}

const pairs = (points) => points.filter((_, i) => i % 2 === 0).map((point, i) => [point, points[2 * i + 1]]);

/** Two neighbours as one: means over their steps. */
function joined([first, second]) {
  if (!second) return first;
  const steps = first[3] + second[3];
  const mean = (k) => (first[k] * first[3] + second[k] * second[3]) / steps;
  return [second[0], mean(1), mean(2), steps];
}
