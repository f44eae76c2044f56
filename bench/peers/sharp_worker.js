// Compresses files with sharp as a worker of `bench/peers`: the usual calls, one thread.
const fs = require("node:fs");
const readline = require("node:readline");
const sharp = require("sharp");

sharp.concurrency(1);
sharp.cache(false);

async function compress(data, { quality, width, format }) {
  let image = sharp(data).keepIccProfile();
  format ||= (await image.metadata()).format;
  if (width) image = image.resize({ width, withoutEnlargement: true });
  if (format === "png") return image.png({ palette: true, quality }).toBuffer();
  if (format === "webp") return image.webp({ quality }).toBuffer();
  if (format === "avif") return image.avif({ quality }).toBuffer();
  if (format === "jpeg") return image.jpeg({ quality }).toBuffer();
  throw new Error(`no call for ${format}`);
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { source, output, ...task } = JSON.parse(line);
    try {
      const result = await compress(fs.readFileSync(source), task);
      if (output) fs.writeFileSync(output, result);
      console.log(result.length);
    } catch (error) {
      console.log("error", String(error.message).replaceAll("\n", " "));
    }
  }
}

main();
