// The same place in pictures that models saw in their own ways.
//
// Of one upload, a place is where in the upload a pixel comes from, as crops and sizes may differ;
// of different uploads, it is the share of the way across and down the model's picture.

export const sameUpload = (items) =>
  items.every(({ document }) => document.image.sha256 === items[0].document.image.sha256);

// Why a place in the picture of one model is another place in that of another; null if it is not.
export function mismatch(items) {
  if (!sameUpload(items)) return "The pictures differ, so a pixel shows two things.";
  const views = items.map(({ document: { crop, placement }, result: { width, height } }) => {
    const { left, top, right, bottom } = placement;
    const shares = [left / width, top / height, right / width, bottom / height];
    return JSON.stringify([crop, shares.map((share) => share.toFixed(4))]);
  });
  return new Set(views).size > 1
    ? "The models saw different parts of the upload, so a pixel shows two places."
    : null;
}

// From a range to another.
const along = (at, start, end, from, to) => from + ((at - start) / (end - start)) * (to - from);

// Returns {from(item, x, y), to(item, place)}: between pixels and places, {across, down} in 0..1.
// `to` gives null where the model did not see the place.
export function placesOf(items) {
  const upload = sameUpload(items);
  const frame = ({ document, result }) => {
    const { width, height } = result;
    const whole = { left: 0, top: 0, right: width, bottom: height };
    if (!upload) return { seen: whole, source: whole, of: { width, height } };
    return { seen: document.placement, source: document.crop, of: document.image };
  };
  return {
    from(item, x, y) {
      const { seen, source, of } = frame(item);
      return {
        across: along(x, seen.left, seen.right, source.left, source.right) / of.width,
        down: along(y, seen.top, seen.bottom, source.top, source.bottom) / of.height,
      };
    },
    to(item, { across, down }) {
      const { seen, source, of } = frame(item);
      const x = along(across * of.width, source.left, source.right, seen.left, seen.right);
      const y = along(down * of.height, source.top, source.bottom, seen.top, seen.bottom);
      const inside = x >= seen.left && x < seen.right && y >= seen.top && y < seen.bottom;
      return inside ? { x, y } : null;
    },
  };
}
