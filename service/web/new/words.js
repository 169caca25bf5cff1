// Names and help of settings in plainer words than the schema's.

const WORDS = {
  outputs: ["Outputs", "Which classes to explain"],
  superpixels: ["Players", "What shares the credit: pixels, squares, or regions of similar colour"],
  max_evals: ["Evaluations", "How often the model is asked; more is finer and slower"],
  masker: ["Masker", "What stands where a part of the picture is hidden"],
  fit: ["Fit", "How the photo becomes the model's picture"],
  metrics: ["Faithfulness", "Curves that test the result; they take evaluations of their own"],
  batch_size: ["Batch size", "As in shap, it changes the order of division and so the values"],
  fixed_context: ["Context", "Of a division: 0 with the other half hidden, 1 visible; empty: both"],
  regularization: [
    "Regularization",
    "auto fits by a prior where evaluations are few; none gives shap's values",
  ],
  sampling: [
    "Sampling",
    "adaptive chooses coalitions by the scores so far; random takes more for the same error",
  ],
  prior: [
    "Prior",
    "picture expects more of large, central, contrasted regions; uniform the same of all",
  ],
  score_scale: [
    "Scale of scores",
    "auto stretches probabilities near 0 and 1, which takes fewer evaluations; linear does not",
  ],
  interactions: [
    "Interactions",
    "2 also tells how strongly pairs of at most 50 superpixels act together; 1 does not",
  ],
  solution_concept: [
    "Values",
    "shapley, or owen: those of partition's tree, which groups neighbours; empty: shapley",
  ],
  target_standard_error: ["Target error", "Stops early once every standard error is at most this"],
  link: ["Link", "What is explained: the score, or its log-odds"],
  seed: ["Seed", "Breaks ties and drives random methods; the same seed gives the same values"],
  priority: ["Priority", "Who waits for whom; it changes no number"],
  retention_s: ["Kept for", "Seconds after its end; empty: as long as the server or the key says"],
  metadata: ["Metadata", "A JSON object of your own that is kept with the explanation"],
  segments: ["Segments", "How many, about"],
  compactness: ["Compactness", "Higher: squarer regions"],
  sigma: ["Smoothing", "In pixels, before regions are found"],
};
export const KINDS = {
  pixels: "pixels",
  grid: "squares of a grid",
  slic: "superpixels (SLIC)",
  labels: "regions of your own (a label map)",
};

// [title, help] of a setting; one that is not known here is shown as the schema has it.
export function wordsFor(name, { description = "" }) {
  if (WORDS[name]) return WORDS[name];
  const title = name.replaceAll("_", " ");
  return [title.charAt(0).toUpperCase() + title.slice(1), description];
}
