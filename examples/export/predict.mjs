// The decision of an exported model for an image: node predict.mjs model.onnx HEIGHT WIDTH < pixels.rgb
// The same code runs in a browser, where a canvas gives the pixels (drop every fourth byte, the opacity).
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import * as ort from "onnxruntime-web";

ort.env.wasm.numThreads = 1;
const [file, height, width] = process.argv.slice(2);
const session = await ort.InferenceSession.create(await readFile(file));
const pixels = new Uint8Array(await buffer(process.stdin)); // RGB, row by row, upright
const image = new ort.Tensor("uint8", pixels, [Number(height), Number(width), 3]);
const { decision, probability } = await session.run({ image }, ["decision", "probability"]);
// 0: the negative class, 1: the positive class, 2: unsure, 3: unfamiliar; parity.json has the names in "labels".
console.log(`${decision.data[0]},${probability.data[0].toFixed(6)}`);
