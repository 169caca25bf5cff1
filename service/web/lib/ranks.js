// Rank correlation.

// Spearman's: Pearson's correlation of the ranks, equal values sharing their mean rank. NaN where
// all values of one list are equal.
export function spearman(one, other) {
  const [a, b] = [ranksOf(one), ranksOf(other)];
  const mean = (a.length + 1) / 2; // of ranks from 1, ties or not
  let [products, squaresOfA, squaresOfB] = [0, 0, 0];
  for (let n = 0; n < a.length; n += 1) {
    products += (a[n] - mean) * (b[n] - mean);
    squaresOfA += (a[n] - mean) ** 2;
    squaresOfB += (b[n] - mean) ** 2;
  }
  return products / Math.sqrt(squaresOfA * squaresOfB);
}

function ranksOf(values) {
  const order = Uint32Array.from(values.keys()).sort((i, j) => values[i] - values[j]);
  const ranks = new Float64Array(values.length);
  for (let from = 0; from < order.length;) {
    let to = from + 1;
    while (to < order.length && values[order[to]] === values[order[from]]) to += 1;
    for (let n = from; n < to; n += 1) ranks[order[n]] = (from + to + 1) / 2;
    from = to;
  }
  return ranks;
}
