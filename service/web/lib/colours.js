// Attributions to colours, by the same arithmetic as the server's pictures, in
// service/render/colours.py and palettes.py: the same array gives the same colours.

export const PALETTES = {
  red_blue: {
    title: "Red and blue",
    positiveName: "red",
    positive: [255, 13, 87],
    negativeName: "blue",
    negative: [30, 136, 229],
  },
  orange_blue: {
    title: "Orange and blue",
    positiveName: "orange",
    positive: [213, 94, 0],
    negativeName: "blue",
    negative: [0, 114, 178],
  },
  orange_purple: {
    title: "Orange and purple",
    positiveName: "orange",
    positive: [230, 97, 1],
    negativeName: "purple",
    negative: [94, 60, 153],
  },
};

// 256 colours as RGBA, from opaque negative through transparency to opaque positive.
export function levelsOf({ positive, negative }) {
  const stops = [
    [0, negative, 1],
    [99 / 199, negative, 0],
    [100 / 199, positive, 0],
    [1, positive, 1],
  ].map(([at, colour, alpha]) => [at * 255, ...colour.map((part) => part / 255), alpha]);
  const levels = new Uint8ClampedArray(4 * 256);
  for (let n = 0; n < 256; n += 1) {
    let right = stops.findIndex(([at]) => at >= n);
    right = Math.max(right, 1);
    const [from, to] = [stops[right - 1], stops[right]];
    const distance = (n - from[0]) / (to[0] - from[0]);
    for (let part = 0; part < 4; part += 1) {
      const value =
        n === 255 ? to[part + 1] : distance * (to[part + 1] - from[part + 1]) + from[part + 1];
      levels[4 * n + part] = Math.floor(255 * value);
    }
  }
  return levels;
}

// Of each palette, by its name.
export const LEVELS = Object.fromEntries(
  Object.entries(PALETTES).map(([name, palette]) => [name, levelsOf(palette)]),
);

// Sums values (H, W, C, K) over channels: K Float64Arrays of H x W, row by row.
export function channelSums({ shape: [H, W, C, K], fortran, data }) {
  return Array.from({ length: K }, (_, k) => {
    const sums = new Float64Array(H * W);
    for (let c = 0; c < C; c += 1) {
      for (let y = 0; y < H; y += 1) {
        for (let x = 0; x < W; x += 1) {
          sums[y * W + x] +=
            data[fortran ? y + H * (x + W * (c + C * k)) : ((y * W + x) * C + c) * K + k];
        }
      }
    }
    return sums;
  });
}

// Magnitudes in order, for `limit`: sorted once, so that a slider asks at no cost.
export function magnitudesOf(...sums) {
  const all = new Float64Array(sums.reduce((length, each) => length + each.length, 0));
  let at = 0;
  for (const each of sums) for (const value of each) all[at++] = Math.abs(value);
  return all.sort();
}

// The magnitude at which colours saturate: a percentile, or the largest where that is 0.
export function limit(magnitudes, percentile) {
  const last = magnitudes.length - 1;
  const place = last * (percentile / 100);
  const [below, above] = [
    magnitudes[Math.floor(place)],
    magnitudes[Math.min(Math.floor(place) + 1, last)],
  ];
  const t = place - Math.floor(place);
  const found = t >= 0.5 ? above - (above - below) * (1 - t) : below + (above - below) * t; // as NumPy
  return found || magnitudes[last];
}

// Colours sums, a Float32Array, into RGBA. `levels` are of levelsOf; reckons in float32, as the
// server does.
export function paint(sums, bound, levels, pixels) {
  const colours = new Uint32Array(levels.buffer);
  const painted = new Uint32Array(pixels.buffer);
  const of = Math.fround(bound) || 1; // where all are 0, so is each share
  for (let n = 0; n < sums.length; n += 1) {
    const level = Math.fround(Math.fround(Math.fround(sums[n] / of) + 1) * 128);
    painted[n] = colours[level < 0 ? 0 : level > 255 ? 255 : level | 0];
  }
}
