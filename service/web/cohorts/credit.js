// Where in the picture credit falls: shares of the absolute attributions, on a grid that is laid
// over what the model saw of the photo, whatever its size.

export const CELLS = 16; // of the grid, across and down
const [FROM, TO] = [CELLS / 4, (3 * CELLS) / 4]; // of the centre, the middle half both ways

// sums: of the channels, H x W, row by row. magnitudes: their absolute values, sorted. placement: the
// part of the picture that shows the photo.
//
// Returns null where no pixel has credit, else {cells: shares that add up to 1, row by row; centre,
// topLeft, topRight, bottomLeft, bottomRight: shares of the credit; half: the share of the photo in
// which the strongest pixels hold half of the credit}.
export function creditOf(sums, magnitudes, width, { left, top, right, bottom }) {
  const cells = new Float64Array(CELLS * CELLS);
  const [across, down] = [spans(right - left), spans(bottom - top)];
  let total = 0;
  for (let y = top; y < bottom; y += 1) {
    const row = new Float64Array(CELLS);
    for (let x = left; x < right; x += 1) {
      const size = Math.abs(sums[y * width + x]);
      if (size === 0) continue;
      total += size;
      for (const [cell, share] of across[x - left]) row[cell] += size * share;
    }
    for (const [cell, share] of down[y - top])
      for (let c = 0; c < CELLS; c += 1) cells[cell * CELLS + c] += row[c] * share;
  }
  if (total === 0) return null;
  for (let n = 0; n < cells.length; n += 1) cells[n] /= total;
  return { cells, ...partsOf(cells), half: areaOfHalf(magnitudes, (right - left) * (bottom - top)) };
}

// Of each of `length` pixels the cells that it lies in: [cell, share of the pixel].
function spans(length) {
  return Array.from({ length }, (_, n) => {
    const [from, to] = [(n * CELLS) / length, ((n + 1) * CELLS) / length];
    const found = [];
    for (let cell = Math.floor(from); cell < Math.min(Math.ceil(to), CELLS); cell += 1) {
      const share = (Math.min(to, cell + 1) - Math.max(from, cell)) / (to - from);
      if (share > 0) found.push([cell, share]);
    }
    return found;
  });
}

function partsOf(cells) {
  const share = (inside) => {
    let sum = 0;
    cells.forEach((each, n) => {
      if (inside(n % CELLS, Math.floor(n / CELLS))) sum += each;
    });
    return sum;
  };
  const half = CELLS / 2;
  return {
    centre: share((x, y) => x >= FROM && x < TO && y >= FROM && y < TO),
    topLeft: share((x, y) => x < half && y < half),
    topRight: share((x, y) => x >= half && y < half),
    bottomLeft: share((x, y) => x < half && y >= half),
    bottomRight: share((x, y) => x >= half && y >= half),
  };
}

function areaOfHalf(magnitudes, pixels) {
  const total = magnitudes.reduce((sum, each) => sum + each, 0);
  let [sum, count] = [0, 0];
  while (sum < total / 2) {
    count += 1;
    sum += magnitudes[magnitudes.length - count];
  }
  return count / pixels;
}

// The mean of several, each of the same weight; null of none.
export function meanCredit(credits) {
  if (credits.length === 0) return null;
  const cells = new Float64Array(CELLS * CELLS);
  let half = 0;
  for (const each of credits) {
    each.cells.forEach((share, n) => (cells[n] += share / credits.length));
    half += each.half / credits.length;
  }
  return { cells, ...partsOf(cells), half };
}
