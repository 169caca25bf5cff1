// Computes values again from the recorded coalitions and scores, without the model: exact and
// permutation over players, and partition over the image tree.
import { unpack } from "./packed.js";

// Returns the values (H, W, C, K) as Float64Array in rows; null where this page computes none.
// arrays: {data, values, players or null}, each {shape, data} in rows. Raises an Error.
export async function recompute({ settings, result, evidence }, arrays) {
  const { transcript } = evidence;
  const [rows, scores] = [await rowsOf(transcript), await unpack(transcript.scores)];
  const game = {
    rows,
    K: result.outputs.length,
    scores: scores.data,
    base: Float64Array.from(result.outputs, (output) => output.base_value),
    full: Float64Array.from(result.outputs, (output) => output.score),
  };
  const { top, bottom, left, right } = result.placement;
  const [height, width] = arrays.data.shape;
  if (!(0 <= top && top < bottom && bottom <= height && 0 <= left && left < right && right <= width))
    throw new Error("the placement is not within the model's picture");
  const shape = [bottom - top, right - left, arrays.data.shape[2]];
  const { method } = settings;
  let inner = null; // of the placement
  if (method === "partition" && transcript.form === "boxes") {
    if (rows.some((row) => row.length % 12)) return null; // digests
    inner = partition(game, shape, settings.fixed_context);
  } else if ((method === "exact" || method === "permutation") && !result.partial) {
    const M = result.players;
    if (rows.some((row) => row.length !== Math.ceil(M / 8))) return null; // digests
    if (method === "exact" && M > 20) return null;
    const credit = method === "exact" ? exact(game, M) : permutation(game, M);
    inner = spreadOver(playersOf(arrays, result.placement, shape, M), credit, shape, M, game.K);
  }
  if (!inner) return null;
  const [, W, C] = arrays.data.shape;
  const values = new Float64Array(arrays.values.data.length);
  const line = shape[1] * C * game.K;
  for (let y = 0; y < shape[0]; y += 1)
    values.set(inner.subarray(y * line, (y + 1) * line), ((top + y) * W + left) * C * game.K);
  return values;
}

// Shapley values from the scores of all coalitions, (M, K).
function exact({ rows, scores, base, full, K }, M) {
  const known = new Array(2 ** M);
  known[0] = base;
  known[2 ** M - 1] = full;
  rows.forEach((row, n) => {
    let mask = 0;
    for (let player = 0; player < M; player += 1) if (has(row, player)) mask |= 1 << player;
    known[mask] = scores.subarray(n * K, (n + 1) * K);
  });
  const weights = [1 / M]; // by the size of the coalition that a player joins
  for (let size = 1; size < M; size += 1)
    weights.push((weights[size - 1] * size) / (M - size)); // 1 / (M * comb(M - 1, size))
  const credit = new Float64Array(M * K);
  for (let mask = 0; mask < known.length; mask += 1) {
    if (!known[mask]) throw new Error("not all coalitions are recorded");
    let size = 0;
    for (let rest = mask; rest; rest &= rest - 1) size += 1;
    for (let player = 0; player < M; player += 1) {
      if (mask & (1 << player)) continue;
      const joined = known[mask | (1 << player)] ?? [];
      for (let k = 0; k < K; k += 1)
        credit[player * K + k] += weights[size] * (joined[k] - known[mask][k]);
    }
  }
  return credit;
}

// Means of the changes of the score along each pass, (M, K).
function permutation({ rows, scores, base, full, K }, M) {
  const credit = new Float64Array(M * K);
  const passes = M > 1 ? Math.floor(rows.length / (M - 1)) : 1;
  for (let pass = 0; pass < passes; pass += 1) {
    let [before, score] = [new Uint8Array(Math.ceil(M / 8)), base];
    for (let step = 0; step < M; step += 1) {
      const n = pass * (M - 1) + step;
      const last = step === M - 1;
      const row = last ? null : rows[n];
      const next = last ? full : scores.subarray(n * K, (n + 1) * K);
      const joined = [];
      for (let player = 0; player < M; player += 1) {
        const [was, is] = [has(before, player), last || has(row, player)];
        if (was && !is) throw new Error("a coalition of a pass loses a player");
        if (is && !was) joined.push(player);
      }
      if (joined.length !== 1) throw new Error(`${joined.length} players join in one step`);
      for (let k = 0; k < K; k += 1) credit[joined[0] * K + k] += (next[k] - score[k]) / passes;
      [before, score] = [row, next];
    }
  }
  return credit;
}

// Owen values of the image tree, of the nodes whose halves are recorded: (H, W, C, K).
function partition({ rows, scores, base, full, K }, [H, W, C], fixedContext) {
  const known = new Map();
  rows.forEach((row, n) => {
    const numbers = new Uint16Array(row.slice().buffer);
    const boxes = [];
    for (let at = 0; at < numbers.length; at += 6) boxes.push([...numbers.subarray(at, at + 6)]);
    known.set(nameOf(boxes), scores.subarray(n * K, (n + 1) * K));
  });
  const scoreOf = (boxes) => {
    const found = known.get(nameOf(boxes));
    if (!found) throw new Error("a half of a node is recorded without the other");
    return found;
  };
  const values = new Float64Array(H * W * C * K);
  const spread = ([top, bottom, left, right, front, back], amounts) => {
    const size = (bottom - top) * (right - left) * (back - front);
    for (let y = top; y < bottom; y += 1)
      for (let x = left; x < right; x += 1)
        for (let c = front; c < back; c += 1)
          for (let k = 0, at = ((y * W + x) * C + c) * K; k < K; k += 1)
            values[at + k] += amounts[k] / size;
  };
  const stack = [[[], [0, H, 0, W, 0, C], base, full, 1]];
  while (stack.length) {
    const [context, box, without, together, weight] = stack.pop();
    const parts = halves(box);
    if (!parts || !known.has(nameOf([...context, parts[0]]))) {
      spread(box, Array.from(base, (_, k) => (together[k] - without[k]) * weight));
      continue;
    }
    const [one, other] = parts;
    const [withOne, withOther] = [[...context, one], [...context, other]];
    const [alone, beside] = [scoreOf(withOne), scoreOf(withOther)];
    const hidden = [
      [context, one, without, alone],
      [context, other, without, beside],
    ];
    const visible = [
      [withOther, one, beside, together],
      [withOne, other, alone, together],
    ];
    if (fixedContext === null) {
      for (const node of [...hidden, ...visible]) stack.push([...node, weight / 2]);
    } else {
      // The interaction of the halves belongs to both
      const sign = fixedContext ? -weight : weight;
      spread(
        box,
        Array.from(base, (_, k) => sign * (together[k] - alone[k] - beside[k] + without[k])),
      );
      for (const node of fixedContext ? visible : hidden) stack.push([...node, weight]);
    }
  }
  return values;
}

const nameOf = (boxes) => boxes.map(String).sort().join(";");

// A box as the image tree splits it; null for one element.
function halves([top, bottom, left, right, front, back]) {
  const [rows, columns, channels] = [bottom - top, right - left, back - front];
  if (rows >= columns && rows > 1) {
    const cut = bottom - Math.floor(rows / 2);
    return [
      [cut, bottom, left, right, front, back],
      [top, cut, left, right, front, back],
    ];
  }
  if (columns > 1) {
    const cut = right - Math.floor(columns / 2);
    return [
      [top, bottom, cut, right, front, back],
      [top, bottom, left, cut, front, back],
    ];
  }
  if (channels > 1) {
    const cut = back - Math.floor(channels / 2);
    return [
      [top, bottom, left, right, cut, back],
      [top, bottom, left, right, front, cut],
    ];
  }
  return null;
}

// The player of each element of the placement, (H, W, 1 or C).
function playersOf({ players, data }, { top, left }, [H, W, C], M) {
  const depth = players ? (players.shape[2] ?? 1) : M === H * W ? 1 : C;
  const labels = new Int32Array(H * W * depth);
  for (let at = 0; at < labels.length; at += 1) {
    const [y, x, c] = [Math.floor(at / depth / W), Math.floor(at / depth) % W, at % depth];
    labels[at] = players ? players.data[((top + y) * data.shape[1] + left + x) * depth + c] : at;
  }
  return { labels, depth };
}

function spreadOver({ labels, depth }, credit, [H, W, C], M, K) {
  const sizes = new Float64Array(M);
  for (const player of labels) sizes[player] += depth === 1 ? C : 1;
  const values = new Float64Array(H * W * C * K);
  for (let at = 0; at < H * W * C; at += 1) {
    const player = labels[depth === 1 ? Math.floor(at / C) : at];
    for (let k = 0; k < K; k += 1) values[at * K + k] = credit[player * K + k] / sizes[player];
  }
  return values;
}

const has = (row, player) => (row[player >> 3] >> (7 - (player & 7))) & 1;

async function rowsOf({ steps, sizes, rows, scores }) {
  const [lengths, content] = [(await unpack(sizes)).data, (await unpack(rows)).data];
  const bytes = new Uint8Array(content.buffer);
  let at = 0;
  const found = Array.from(lengths, (length) => bytes.subarray(at, (at += length)));
  const asked = steps.reduce((sum, count) => sum + count, 0);
  if (at !== bytes.length || asked !== found.length || scores.shape[0] !== asked)
    throw new Error(`${asked} coalitions were asked for; it has other numbers of rows and scores`);
  return found;
}
