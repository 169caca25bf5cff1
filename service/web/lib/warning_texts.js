// What each warning means, in short; docs/warnings.md has the limits and where they come from.

export const NOTES = ["no_standard_errors", "coarse_regions"]; // true of most results, as in the command line

export const WARNINGS = {
  partial:
    "It was canceled before its evaluations were spent. The values are what was known by then; with more evaluations they would change.",
  no_standard_errors:
    "The values are estimates, and this method tells no error of them. How far they are off is unknown, not small. The methods permutation, kernel and gaussian_process give standard errors; exact needs none.",
  no_interval:
    "Standard errors are known, but too few pairs of coalitions were evaluated for an honest 95 % interval. Ask for more evaluations.",
  few_evaluations:
    "The regression of this method is steady from about four pairs of coalitions for each player on. Ask for more evaluations or for fewer superpixels.",
  coarse_regions:
    "Much of the picture is in regions that were not divided further: inside them, it is not known which part counts. Ask for more evaluations.",
  low_held_out_fidelity:
    "From the coalitions it saw, the method predicts less than half of how others score. Its values are far from settled: ask for more evaluations, or for fewer superpixels.",
  large_even_energy:
    "Most of what the score does is the same for a set of regions and for all the others, and no heatmap can show that. Look at the faithfulness curves, or try other superpixels.",
  target_not_reached:
    "The evaluations were spent before every standard error was as small as you asked for.",
  draft_precision:
    "The model computes in less than float32 here, so scores are slightly off; its card says by how much.",
  nan_hidden:
    "For the hidden or the whole picture the model's operations give NaN (no number), and what runs it made a number of that. Do not trust these scores: try another masker or model.",
  compared_resized:
    "The second model takes pictures of another size, and saw those of the first enlarged or distorted. Its result may not be that of its own explanation; with the two models swapped it may be.",
  picture_cropped:
    "The model did not see a large part of the upload. What lies outside is not explained; the setting “fit” can stretch or pad the picture instead.",
  other_colours:
    "The file names another colour space than sRGB, and its numbers were taken as they are, so the model saw other colours than you do.",
  few_levels:
    "The picture uses few of the levels that its bit depth allows, as 12-bit pictures stored as 16-bit do. The model may have seen it nearly black.",
  ties: "Equal numbers were put in an arbitrary order, so a curve, or which outputs were taken, could as well be another.",
  not_better_than_random:
    "Showing or hiding pixels in the order of this explanation changes the score no better than a random order. Doubt that the heat tells what matters.",
};
