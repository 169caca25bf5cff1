// Outputs of a comparison of two models: three of each class, of the models and their difference.

export const SIDES = 3;

export const modelsOf = ({ model, compared }) =>
  compared ? `${model.name} against ${compared.name}` : model.name;

// Positions of the outputs of the class that output k is of.
export const classOf = (k) => [0, 1, 2].map((side) => k - (k % SIDES) + side);

export const isDifference = ({ of }) => of === "difference";

// Whether a 95 % interval is known that lies on one side of 0.
export const excludesZero = ({ low, high }) => low !== null && high !== null && low * high > 0;

// The outputs whose values span the colours of the chosen one: the two models share them.
export function spanning({ output, scale }, { outputs, compared }) {
  if (scale !== "own") return "all";
  return compared && !isDifference(outputs[output]) ? classOf(output).slice(0, 2) : output;
}
