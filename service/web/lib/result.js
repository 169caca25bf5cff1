// The arrays of a result, as the screens draw them.
import { request } from "./api.js";
import { channelSums, magnitudesOf } from "./colours.js";
import { openNpz } from "./npz.js";

// Loads them; `document` is of an explanation that has a result.
//
// width, height: of the model's picture. picture: ImageData, as the model saw it. sums: for each
// output. regions: null, or {ids: Int32Array by pixel (channel by channel where `channels` > 1),
// count, channels, areas, boxes, values, …}. magnitudes(k), or of all outputs: sorted.
export async function loadResult(document, signal) {
  const response = await request(`v1/explanations/${document.id}/attributions?format=npz`, { signal });
  const npz = openNpz(await response.arrayBuffer());
  const [values, data] = await Promise.all([npz.read("values"), npz.read("data")]);
  const [height, width] = values.shape;
  const sums = channelSums(values);
  const sorted = new Map();
  return {
    width,
    height,
    sums,
    picture: pictureOf(data),
    regions: npz.has("regions") ? await regionsOf(npz) : null,
    magnitudes(k) {
      if (!sorted.has(k)) sorted.set(k, k === "all" ? magnitudesOf(...sums) : magnitudesOf(sums[k]));
      return sorted.get(k);
    },
  };
}

function pictureOf({ shape: [H, W, C], fortran, data }) {
  const image = new ImageData(W, H);
  for (let y = 0; y < H; y += 1) {
    for (let x = 0; x < W; x += 1) {
      for (let part = 0; part < 3; part += 1) {
        const c = C === 3 ? part : 0;
        image.data[4 * (y * W + x) + part] = data[fortran ? y + H * (x + W * c) : (y * W + x) * C + c];
      }
      image.data[4 * (y * W + x) + 3] = 255;
    }
  }
  return image;
}

async function regionsOf(npz) {
  const optional = async (name) => (npz.has(name) ? npz.read(name) : null);
  const [labels, players, values, errors, low, high] = await Promise.all([
    npz.read("regions"), npz.read("region_players"), npz.read("region_values"),
    optional("region_standard_errors"), optional("region_low"), optional("region_high"),
  ]);
  const [H, W, channels = 1] = labels.shape;
  const ids = inRows(labels, H, W, channels);
  const [count, K] = values.shape;
  const { areas, boxes, centroids, parts } = measure(ids, W, channels, count);
  const cell = (array, r, k) => {
    const value = array ? array.data[array.fortran ? r + count * k : r * K + k] : null;
    return Number.isNaN(value) ? null : value;
  };
  const credit = Array.from({ length: K }, (_, k) => {
    const column = Array.from({ length: count }, (_, r) => cell(values, r, k));
    const total = column.reduce((sum, value) => sum + Math.abs(value), 0) || 1;
    const order = column.map((_, r) => r).sort((a, b) => Math.abs(column[b]) - Math.abs(column[a]) || a - b);
    const ranks = new Array(count);
    order.forEach((r, n) => (ranks[r] = n + 1));
    return { order, of: (r) => ({
      value: column[r], standardError: cell(errors, r, k), low: cell(low, r, k), high: cell(high, r, k),
      rank: ranks[r], share: Math.abs(column[r]) / total,
    }) };
  });
  return { ids, channels, count, areas, boxes, centroids, parts, players: players.data, credit };
}

// Labels pixel by pixel in rows, the channels of a pixel beside each other.
function inRows({ fortran, data }, H, W, C) {
  const ids = new Int32Array(H * W * C);
  for (let y = 0; y < H; y += 1) {
    for (let x = 0; x < W; x += 1) {
      for (let c = 0; c < C; c += 1) {
        const at = (y * W + x) * C + c;
        ids[at] = data[fortran ? y + H * (x + W * c) : at];
      }
    }
  }
  return ids;
}

function measure(ids, W, C, count) {
  const areas = new Uint32Array(count);
  const boxes = Array.from({ length: count }, () => ({ left: Infinity, top: Infinity, right: 0, bottom: 0 }));
  const centroids = Array.from({ length: count }, () => ({ x: 0, y: 0 }));
  const parts = Array.from({ length: count }, () => new Set()); // its channels
  for (let at = 0; at < ids.length; at += C) {
    const [x, y] = [(at / C) % W, Math.floor(at / C / W)];
    const here = new Set();
    for (let c = 0; c < C; c += 1) {
      const id = ids[at + c];
      if (id < 0) continue;
      parts[id].add(c);
      here.add(id);
    }
    for (const id of here) {
      areas[id] += 1;
      const box = boxes[id];
      box.left = Math.min(box.left, x);
      box.top = Math.min(box.top, y);
      box.right = Math.max(box.right, x + 1);
      box.bottom = Math.max(box.bottom, y + 1);
      centroids[id].x += x + 0.5;
      centroids[id].y += y + 0.5;
    }
  }
  centroids.forEach((point, id) => {
    point.x /= areas[id] || 1;
    point.y /= areas[id] || 1;
  });
  return { areas, boxes, centroids, parts };
}
