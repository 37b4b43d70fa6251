// Plain JavaScript under Node: `node examples.mjs URL IMAGE` prints the answers to the contract's examples as JSON.
import { readFile } from "node:fs/promises";
import { runExamples } from "./build/run.js";

const [url, imagePath] = process.argv.slice(2);
const examples = JSON.parse(await readFile(new URL("./examples.json", import.meta.url), "utf8"));
const bytes = await readFile(imagePath);
const imageData = new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
process.stdout.write(JSON.stringify(await runExamples(url, examples, imageData)));
