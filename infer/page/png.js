// Writes a PNG row by row: a canvas would lose colours under alpha, and is limited in size.
"use strict";

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

function chunk(name, data) {
  const bytes = new Uint8Array(data.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let n = 0; n < 4; n++) bytes[4 + n] = name.charCodeAt(n);
  bytes.set(data, 8);
  let crc = 0xffffffff;
  for (let n = 4; n < data.length + 8; n++) crc = CRC[(crc ^ bytes[n]) & 255] ^ (crc >>> 8);
  view.setUint32(data.length + 8, ~crc);
  return bytes;
}

class PngWriter {
  // `channels`: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
  constructor(width, height, channels) {
    const header = new Uint8Array(13);
    new DataView(header.buffer).setUint32(0, width);
    new DataView(header.buffer).setUint32(4, height);
    header.set([8, [0, 4, 2, 6][channels - 1]], 8);
    this.channels = channels;
    this.rowLength = width * channels;
    this.above = new Uint8Array(this.rowLength);
    this.parts = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), chunk("IHDR", header)];
    const { readable, writable } = new CompressionStream("deflate");
    this.writer = writable.getWriter();
    this.collected = this.collect(readable.getReader());
  }

  async collect(reader) {
    for (let read; !(read = await reader.read()).done; )
      this.parts.push(new Blob([chunk("IDAT", read.value)])); // a blob may lie on disk
  }

  // Each row as its difference from the one above, which packs well for smooth pictures.
  async write(pixels) {
    const [length, rows] = [this.rowLength, pixels.length / this.rowLength];
    const filtered = new Uint8Array(rows * (length + 1));
    for (let y = 0; y < rows; y++) {
      const row = pixels.subarray(y * length, (y + 1) * length);
      filtered[y * (length + 1)] = 2;
      for (let x = 0; x < length; x++) filtered[y * (length + 1) + 1 + x] = row[x] - this.above[x];
      this.above = row;
    }
    this.above = this.above.slice();
    await this.writer.write(filtered);
  }

  async finish() {
    await this.writer.close();
    await this.collected;
    return new Blob([...this.parts, chunk("IEND", new Uint8Array(0))], { type: "image/png" });
  }
}
