// @ts-check
// A ZIP of Blobs, put together of headers and the Blobs themselves: no byte of them is read or copied. All entries are stored,
// and dated 1980-01-01 (APPNOTE.TXT section 4.3; ZIP64 where a size, a place or a count needs it).

/** @typedef {{ name: string, content: Blob, crc32: number }} Entry */

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const END = 0x06054b50;

/** The first day of 1980, and names in UTF-8. */
const DAY = 0x0021;
const UTF8 = 0x0800;

const MOST32 = 0xffffffff;
const MOST16 = 0xffff;

export class Zip {
  /** @type {BlobPart[]} */
  #pieces = [];
  /** @type {BlobPart[]} */
  #directory = [];
  #at = 0;
  #entries = 0;

  /** @param {Entry} entry */
  add({ name, content, crc32 }) {
    const bytes = new TextEncoder().encode(name);
    const { size } = content;
    const large = size >= MOST32;
    const local = large ? new Fields().u16(1).u16(16).u64(size).u64(size) : new Fields();
    this.#push(
      new Fields().u32(LOCAL).u16(large ? 45 : 20).u16(UTF8).u16(0).u16(0).u16(DAY).u32(crc32)
        .u32(large ? MOST32 : size).u32(large ? MOST32 : size).u16(bytes.length).u16(local.length).bytes(bytes).bytes(local.done()).done(),
    );
    const at = this.#at - 30 - bytes.length - local.length;
    this.#push(content);
    const far = at >= MOST32;
    const extra = new Fields();
    if (large || far) {
      extra.u16(1).u16((large ? 16 : 0) + (far ? 8 : 0));
      if (large) extra.u64(size).u64(size);
      if (far) extra.u64(at);
    }
    this.#directory.push(
      new Fields().u32(CENTRAL).u16(0x0314).u16(large || far ? 45 : 20).u16(UTF8).u16(0).u16(0).u16(DAY).u32(crc32)
        .u32(large ? MOST32 : size).u32(large ? MOST32 : size).u16(bytes.length).u16(extra.length).u16(0).u16(0).u16(0)
        .u32(0o100644 * 0x10000).u32(far ? MOST32 : at).bytes(bytes).bytes(extra.done()).done(),
    );
    this.#entries += 1;
  }

  /**
   * @param {string} name
   * @returns {File}
   */
  file(name) {
    const directory = new Blob(this.#directory);
    const [count, size, at] = [this.#entries, directory.size, this.#at];
    const large = count >= MOST16 || size >= MOST32 || at >= MOST32;
    const end = new Fields();
    if (large) {
      end.u32(END64).u64(44).u16(0x032d).u16(45).u32(0).u32(0).u64(count).u64(count).u64(size).u64(at);
      end.u32(LOCATOR64).u32(0).u64(at + size).u32(1);
    }
    end.u32(END).u16(0).u16(0).u16(Math.min(count, MOST16)).u16(Math.min(count, MOST16));
    end.u32(Math.min(size, MOST32)).u32(Math.min(at, MOST32)).u16(0);
    return new File([...this.#pieces, directory, end.done()], name, { type: "application/zip" });
  }

  /** @param {Uint8Array<ArrayBuffer> | Blob} piece */
  #push(piece) {
    this.#pieces.push(piece);
    this.#at += piece instanceof Blob ? piece.size : piece.length;
  }
}

/** Numbers in the order of a ZIP: the lowest byte first. */
class Fields {
  /** @type {number[]} */
  #bytes = [];

  get length() {
    return this.#bytes.length;
  }

  /** @param {number} value */
  u16(value) {
    this.#bytes.push(value & 0xff, (value >> 8) & 0xff);
    return this;
  }

  /** @param {number} value */
  u32(value) {
    return this.u16(value & MOST16).u16((value >>> 16) & MOST16);
  }

  /** @param {number} value */
  u64(value) {
    return this.u32(value % 2 ** 32).u32(Math.floor(value / 2 ** 32));
  }

  /** @param {Uint8Array} bytes */
  bytes(bytes) {
    this.#bytes.push(...bytes);
    return this;
  }

  done() {
    return new Uint8Array(this.#bytes);
  }
}
