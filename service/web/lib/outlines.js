// Lines between regions, as one path along the edges of pixels.

// Draws the outlines of one region, or of all (region null), onto a context of any size.
export function drawOutlines(
  context,
  { width, height, regions: { ids, channels } },
  region,
  { colour, width: thickness },
) {
  const across = context.canvas.width / width;
  const down = context.canvas.height / height;
  const differ = (a, b) => {
    for (let c = 0; c < channels; c += 1) {
      const [one, other] = [a < 0 ? -1 : ids[a + c], b < 0 ? -1 : ids[b + c]];
      if (region === null ? one !== other : (one === region) !== (other === region)) return true;
    }
    return false;
  };
  const index = (x, y) =>
    x < 0 || y < 0 || x >= width || y >= height ? -1 : (y * width + x) * channels;
  const outer = region === null ? 1 : 0; // the frame of the picture is an edge of one region only
  context.beginPath();
  for (let y = outer; y <= height - outer; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (!differ(index(x, y - 1), index(x, y))) continue;
      context.moveTo(x * across, y * down);
      context.lineTo((x + 1) * across, y * down);
    }
  }
  for (let x = outer; x <= width - outer; x += 1) {
    for (let y = 0; y < height; y += 1) {
      if (!differ(index(x - 1, y), index(x, y))) continue;
      context.moveTo(x * across, y * down);
      context.lineTo(x * across, (y + 1) * down);
    }
  }
  context.strokeStyle = colour;
  context.lineWidth = thickness;
  context.lineCap = "square";
  context.stroke();
}
