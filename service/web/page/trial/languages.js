// The call as others would write it: complete programs, to be pasted and run.
//
// A call has `address` (of the server), `url` (of the door), `body`, `model`, `inputs` (of the graph, with the
// values that each takes), and `keyed`: whether the server wants a key, which is never written into a program.

const KEY = "FOLDSERVE_KEY";
/** NumPy's names of the protocol's datatypes. */
export const NUMPY_NAMES = {
  BYTES: "string", BOOL: "bool", FP16: "float16", FP32: "float32", FP64: "float64",
  INT8: "int8", INT16: "int16", INT32: "int32", INT64: "int64",
  UINT8: "uint8", UINT16: "uint16", UINT32: "uint32", UINT64: "uint64",
};
const NUMPY = { string: "np.object_", bool: "np.bool_" };

export const LANGUAGES = [
  { id: "curl", name: "curl", text: curl },
  { id: "python", name: "Python", text: python },
  { id: "javascript", name: "JavaScript", text: javascript },
  { id: "triton", name: "tritonclient", text: triton },
];

function curl({ url, body, keyed }) {
  const headers = ["-H 'content-type: application/json'", keyed && `-H "authorization: Bearer $${KEY}"`].filter(Boolean);
  return [`curl -sS ${quoted(url)}`, ...headers, `-d ${quoted(json(body))}`].join(" \\\n  ");
}

function python({ url, body, keyed }) {
  return [
    keyed && "import os\n",
    "import httpx\n",
    `body = ${literal(body)}`,
    keyed && `headers = {"authorization": f"Bearer {os.environ['${KEY}']}"}`,
    `response = httpx.post(${JSON.stringify(url)}, json=body${keyed ? ", headers=headers" : ""})`,
    "print(response.json())",
  ].filter(Boolean).join("\n");
}

function javascript({ url, body, keyed }) {
  const headers = ['"content-type": "application/json"', keyed && '"authorization": `Bearer ${key}`'].filter(Boolean);
  return [
    keyed && 'const key = "your key";',
    `const response = await fetch(${JSON.stringify(url)}, {`,
    '  method: "POST",',
    `  headers: { ${headers.join(", ")} },`,
    `  body: JSON.stringify(${json(body)}),`,
    "});",
    "console.log(await response.json());",
  ].filter(Boolean).join("\n");
}

function triton({ address, model, inputs, keyed }) {
  if (inputs === null) return "# The body has no inputs with a name, a shape, a datatype and data.";
  const { host, pathname, protocol } = new URL(address);
  const place = JSON.stringify(host + pathname.replace(/\/$/, ""));
  const arrays = inputs.map(({ name, dtype, values }) =>
    `    ${JSON.stringify(name)}: np.array(${array(values)}, dtype=${NUMPY[dtype] ?? `np.${dtype}`}),`);
  return [
    "# pip install 'tritonclient[http]'",
    keyed && "import os\n",
    "import numpy as np",
    "import tritonclient.http as triton",
    "from tritonclient.utils import np_to_triton_dtype\n",
    "arrays = {",
    ...arrays,
    "}",
    "inputs = []",
    "for name, array in arrays.items():",
    "    tensor = triton.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))",
    "    tensor.set_data_from_numpy(array)",
    "    inputs.append(tensor)",
    `client = triton.InferenceServerClient(${place}${protocol === "https:" ? ", ssl=True" : ""})`,
    keyed && `headers = {"authorization": f"Bearer {os.environ['${KEY}']}"}`,
    `result = client.infer(${JSON.stringify(model)}, inputs${keyed ? ", headers=headers" : ""})`,
    'for output in result.get_response()["outputs"]:',
    '    print(output["name"], result.as_numpy(output["name"]))',
  ].filter(Boolean).join("\n");
}

/** The arrays that the graph takes for a row, and for copies of it when it wants several. */
export function arraysOf({ inputs, rows }, row) {
  return inputs.map(({ name, dtype, flat, places }) => {
    const values = (places.length ? places.map((place) => row[place]) : row).map((value) => value ?? (dtype === "string" ? "" : NaN));
    return { name, dtype, values: Array(rows).fill(flat ? values[0] : values) };
  });
}

/** JSON with a space behind each comma and colon, as people write it. */
function json(value) {
  if (Array.isArray(value)) return `[${value.map(json).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${json(each)}`).join(", ")}}`;
}

/** The same in Python. */
function literal(value) {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    return `{${Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${literal(each)}`).join(", ")}}`;
  }
  return { null: "None", true: "True", false: "False" }[JSON.stringify(value)] ?? JSON.stringify(value);
}

function array(values) {
  if (Array.isArray(values)) return `[${values.map(array).join(", ")}]`;
  return Number.isNaN(values) ? "np.nan" : literal(values);
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
