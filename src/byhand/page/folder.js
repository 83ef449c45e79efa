/* A folder of pictures, dropped or chosen, as a zip: the form in which the server reads it. */

/** Read a dropped folder or files: [{path, file}]; `most`: stop after that many files, and one more. */
export async function dropped(transfer, most) {
  const waiting = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean); // gone after the event
  const found = [];
  while (waiting.length && found.length <= most) {
    const entry = waiting.shift();
    if (entry.name.startsWith(".")) continue;
    if (entry.isFile) found.push({ path: entry.fullPath.slice(1), file: await new Promise((done, failed) => entry.file(done, failed)) });
    else waiting.push(...(await entriesOf(entry)));
  }
  return found;
}

/** All entries of a folder; a browser returns some hundred at a time. */
async function entriesOf(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return all;
    all.push(...some);
  }
}

/** The files of an input, which has the paths of a chosen folder: [{path, file}], without hidden ones. */
export const chosen = (input) =>
  [...input.files]
    .map((file) => ({ path: file.webkitRelativePath || file.name, file }))
    .filter(({ path }) => !path.split("/").some((part) => part.startsWith(".")));

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

/** The CRC-32 of bytes, as in zip and PNG. */
export function crc32(bytes) {
  let rest = 0xffffffff;
  for (const byte of bytes) rest = (rest >>> 8) ^ CRC[(rest ^ byte) & 255];
  return ~rest >>> 0;
}

/** Little-endian numbers, each of that many bytes: [[value, bytes], …] → Uint8Array */
function numbers(...values) {
  const bytes = new Uint8Array(values.reduce((sum, [, size]) => sum + size, 0));
  let at = 0;
  for (const [value, size] of values) for (let i = 0; i < size; i++) bytes[at++] = (value / 256 ** i) & 255;
  return bytes;
}

/** Pack files into a zip without compression: [{path, file}] → Blob. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT */
export async function zipped(files) {
  const parts = [];
  const directory = [];
  let at = 0;
  let length = 0;
  for (const { path, file } of files) {
    const name = new TextEncoder().encode(path);
    const crc = crc32(new Uint8Array(await file.arrayBuffer()));
    // Version 2.0, names in UTF-8, stored, 1 January 1980.
    const facts = [[20, 2], [0x0800, 2], [0, 2], [0, 2], [0x21, 2], [crc, 4], [file.size, 4], [file.size, 4], [name.length, 2], [0, 2]];
    const head = numbers([0x04034b50, 4], ...facts);
    parts.push(head, name, file);
    const entry = numbers([0x02014b50, 4], [20, 2], ...facts, [0, 2], [0, 2], [0, 2], [0, 4], [at, 4]);
    directory.push(entry, name);
    at += head.length + name.length + file.size;
    length += entry.length + name.length;
  }
  const count = files.length;
  return new Blob([...parts, ...directory, numbers([0x06054b50, 4], [0, 4], [count, 2], [count, 2], [length, 4], [at, 4], [0, 2])]);
}
