// Compresses files with sharp as a worker of `bench/peers`: the usual call, quality 50, one thread.
const fs = require("node:fs");
const readline = require("node:readline");
const sharp = require("sharp");

sharp.concurrency(1);
sharp.cache(false);

async function compress(data) {
  const image = sharp(data).keepIccProfile();
  const { format } = await image.metadata();
  if (format === "png") return image.png({ palette: true, quality: 50 }).toBuffer();
  if (format === "webp") return image.webp({ quality: 50 }).toBuffer();
  if (format === "jpeg") return image.jpeg({ quality: 50 }).toBuffer();
  throw new Error(`no call for ${format}`);
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [source, output] = line.split("\t");
    try {
      const result = await compress(fs.readFileSync(source));
      if (output) fs.writeFileSync(output, result);
      console.log(result.length);
    } catch (error) {
      console.log("error", String(error.message).replaceAll("\n", " "));
    }
  }
}

main();
