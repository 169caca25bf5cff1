// The arrays of a result, as the screens draw them.
import { request } from "./api.js";
import { channelSums, magnitudesOf } from "./colours.js";
import { openNpz, readValues } from "./npz.js";

const MOST_VALUES = 20_000_000; // numbers loaded at once; further outputs when they are chosen

// Loads them; `document` is of an explanation that has a result.
//
// width, height: of the model's picture. picture: ImageData, as the model saw it. regions: null, or
// {ids: Int32Array by pixel (channel by channel where `channels` > 1), count, channels, areas,
// centroids, parts, players, credit: for each output}. ensure(k): loads output k unless it is there;
// sums[k], shown[k]: its sums over channels, exact and in float32. magnitudes(k, several or "all"): sorted.
export async function loadResult({ id, outputs, model, region_count: count }, signal) {
  const size = (model.parts?.input_shape ?? [224, 224, 3]).reduce(
    (product, side) => product * side,
    1,
  );
  const atOnce = Math.max(1, Math.floor(MOST_VALUES / size));
  const [sums, shown, sorted] = [[], [], new Map()];
  let regions = null;

  async function load(positions) {
    // Equal values, as of a region, are packed to little, and sent as they are stored. Many values of
    // their own are not: half the bytes are half the wait.
    const dtype = count === null ? "float16" : "float32";
    const query = new URLSearchParams({ format: "npz", dtype });
    if (positions.length < outputs.length)
      for (const k of positions) query.append("output", outputs[k].index);
    const response = await request(`v1/explanations/${id}/attributions?${query}`, { signal });
    const npz = openNpz(await response.arrayBuffer());
    const values = await readValues(npz);
    channelSums(values).forEach((each, n) => {
      sums[positions[n]] = each;
      shown[positions[n]] = Float32Array.from(each);
    });
    sorted.clear();
    if (npz.has("regions")) {
      regions ??= await shapesOf(npz);
      (await creditOf(npz)).forEach((each, n) => (regions.credit[positions[n]] = each));
    }
    return npz;
  }

  const npz = await load([...outputs.keys()].slice(0, atOnce));
  const data = await npz.read("data");
  const [height, width] = data.shape;
  return {
    width,
    height,
    sums,
    shown,
    regions,
    picture: pictureOf(data),
    ensure: async (k) => sums[k] || load([k]),
    magnitudes(which) {
      const key = String(which);
      const chosen = which === "all" ? sums : [which].flat().map((k) => sums[k]);
      if (!sorted.has(key)) sorted.set(key, magnitudesOf(...chosen.filter(Boolean)));
      return sorted.get(key);
    },
  };
}

// data: an array (H, W, C) of 0..255.
export function pictureOf({ shape: [H, W, C], fortran, data }) {
  const image = new ImageData(W, H);
  for (let y = 0; y < H; y += 1) {
    for (let x = 0; x < W; x += 1) {
      for (let part = 0; part < 3; part += 1) {
        const c = C === 3 ? part : 0;
        image.data[4 * (y * W + x) + part] =
          data[fortran ? y + H * (x + W * c) : (y * W + x) * C + c];
      }
      image.data[4 * (y * W + x) + 3] = 255;
    }
  }
  return image;
}

async function shapesOf(npz) {
  const [labels, players] = await Promise.all([npz.read("regions"), npz.read("region_players")]);
  const [H, W, channels = 1] = labels.shape;
  const ids = inRows(labels, H, W, channels);
  const count = players.data.length;
  return {
    ids,
    channels,
    count,
    players: players.data,
    credit: [],
    ...measure(ids, W, channels, count),
  };
}

// Of each output in the npz: its regions in the order of their ranks, and `of(region)`.
async function creditOf(npz) {
  const optional = async (name) => (npz.has(name) ? npz.read(name) : null);
  const [values, errors, low, high] = await Promise.all(
    ["region_values", "region_standard_errors", "region_low", "region_high"].map(optional),
  );
  const [count, K] = values.shape;
  const cell = (array, r, k) => {
    const value = array ? array.data[array.fortran ? r + count * k : r * K + k] : null;
    return Number.isNaN(value) ? null : value;
  };
  return Array.from({ length: K }, (_, k) => {
    const column = Array.from({ length: count }, (_, r) => cell(values, r, k));
    const total = column.reduce((sum, value) => sum + Math.abs(value), 0) || 1;
    const order = column
      .map((_, r) => r)
      .sort((a, b) => Math.abs(column[b]) - Math.abs(column[a]) || a - b);
    const ranks = new Array(count);
    order.forEach((r, n) => (ranks[r] = n + 1));
    return {
      order,
      of: (r) => ({
        value: column[r],
        standardError: cell(errors, r, k),
        low: cell(low, r, k),
        high: cell(high, r, k),
        rank: ranks[r],
        share: Math.abs(column[r]) / total,
      }),
    };
  });
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
      centroids[id].x += x + 0.5;
      centroids[id].y += y + 0.5;
    }
  }
  centroids.forEach((point, id) => {
    point.x /= areas[id] || 1;
    point.y /= areas[id] || 1;
  });
  return { areas, centroids, parts };
}
