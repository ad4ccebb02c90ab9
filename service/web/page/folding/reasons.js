// Why a normalisation stays, by the code of the report; the codes are those of docs/folding.md.

const REASONS = {
  "training-mode": "it normalises by the statistics of the batch, or a Dropout in between is random",
  "spatial-0": "each position has statistics of its own",
  "parameter-not-constant": "a parameter or weight is computed from the inputs",
  "overridable-input": "a parameter or weight may be overridden by the caller",
  "external-data-missing": "the data of a parameter or weight cannot be read",
  "no-linear-neighbour": "nothing linear makes or reads it",
  "linear-output-also-used": "something else sees the layer's result before it is normalised",
  "captured-by-subgraph": "the body of an If, Loop or Scan sees it",
  "graph-output": "the layer's result, or the normalised value, is an output of the graph",
  "other-axis": "it varies along an axis that the weights do not carry",
  "unknown-shape": "an axis cannot be followed because the file does not tell its size",
  "quantised-between": "QuantizeLinear and DequantizeLinear round in between",
  "zero-padding-with-shift": "a shift in front of zero padding, with nothing else to fold",
  "negative-scale-before-max-pool": "the maximum of −x is not minus the maximum of x",
  "amp-above-limit": "the shift would cost accuracy, and there is nowhere to keep it",
  "forward-switched-off": "it would fold forward, which was forbidden",
  "non-finite-statistics": "a parameter or weight is NaN or infinite",
  "variance-plus-eps-not-positive": "σ² + ε is not above zero",
  "out-of-range": "a result overflows, or vanishes in, the type it would be stored in",
  "no-running-statistics": "it keeps no running statistics: there is nothing constant to fold",
  "hooks": "a hook of a module stands where the fold would",
  "data-dependent-control-flow": "whether or how it runs depends on the values of the input",
  "not-exportable": "torch.export cannot follow the module",
  "example-inputs-fail": "the module raises on the example inputs",
  "folded-module-disagrees": "the proof at the end failed, and the folded module was thrown away",
};

/** A reason code in words. */
export function inWords(code) {
  return REASONS[code] ?? code;
}
