//! A small canvas with soft ellipses and trapezoids, written as PNG or JPEG.
//!
//! Positions and colours are integers; coverage uses only `f32` operations that IEEE 754 defines exactly, so that
//! every machine draws the same pixels.

use crate::demo::rng::Rng;

pub(in crate::demo) type Colour = [u8; 3];

/// A picture in RGB.
pub(in crate::demo) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<Colour>,
}

impl Canvas {
    pub(in crate::demo) fn new(width: usize, height: usize, background: Colour) -> Self {
        Self { width, height, pixels: vec![background; width * height] }
    }

    /// Darkens or lightens towards a colour with the distance from a point.
    pub(in crate::demo) fn shade(&mut self, x: i64, y: i64, colour: Colour) {
        let reach = (self.width * self.width + self.height * self.height) as i64;
        for (row, line) in self.pixels.chunks_exact_mut(self.width).enumerate() {
            let dy = row as i64 - y;
            for (column, pixel) in line.iter_mut().enumerate() {
                let dx = column as i64 - x;
                blend(pixel, colour, ((dx * dx + dy * dy) * 100 / reach).min(100));
            }
        }
    }

    /// An ellipse around a centre, with soft edge; opacity in percent.
    pub(in crate::demo) fn ellipse(
        &mut self,
        centre: (i64, i64),
        radius: (i64, i64),
        colour: Colour,
        opacity: i64,
    ) {
        let (rx, ry) = (radius.0.max(1) as f32, radius.1.max(1) as f32);
        let (top, bottom) = (centre.1 - radius.1 - 1, centre.1 + radius.1 + 1);
        let smaller = rx.min(ry);
        self.rows(top, bottom, |y, line| {
            let v = (y - centre.1) as f32 / ry;
            if v * v > 1.2 {
                return;
            }
            cells(line, centre.0 - radius.0 - 1, centre.0 + radius.0 + 1, |x, pixel| {
                let u = (x - centre.0) as f32 / rx;
                let edge = (1.0 - (u * u + v * v).sqrt()) * smaller + 0.5;
                if edge > 0.0 {
                    blend(pixel, colour, if edge < 1.0 { (edge * opacity as f32) as i64 } else { opacity });
                }
            });
        });
    }

    /// A trapezoid that stands upright: half widths at the top and at the bottom; opacity in percent.
    pub(in crate::demo) fn trapezoid(
        &mut self,
        x: i64,
        (top, bottom): (i64, i64),
        (half_top, half_bottom): (i64, i64),
        colour: Colour,
        opacity: i64,
    ) {
        let height = (bottom - top).max(1);
        self.rows(top, bottom, |y, line| {
            let half = half_top + (half_bottom - half_top) * (y - top) / height;
            cells(line, x - half, x + half, |_, pixel| blend(pixel, colour, opacity));
        });
    }

    fn rows(&mut self, top: i64, bottom: i64, mut paint: impl FnMut(i64, &mut [Colour])) {
        let (first, count) = span(top, bottom);
        for (y, line) in self.pixels.chunks_exact_mut(self.width).enumerate().skip(first).take(count) {
            paint(y as i64, line);
        }
    }

    /// PNG, with a film's grain of this many levels.
    pub(in crate::demo) fn png(mut self, rng: &mut Rng, grain: u64) -> Vec<u8> {
        self.grain(rng, grain);
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        // Writing to memory cannot fail; were it to, the test that decodes every picture would say so.
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(self.pixels.as_flattened())?;
            writer.finish()
        });
        if written.is_err() {
            file.clear();
        }
        file
    }

    /// JPEG, with a film's grain of this many levels.
    pub(in crate::demo) fn jpeg(mut self, rng: &mut Rng, grain: u64) -> Vec<u8> {
        self.grain(rng, grain);
        let mut file = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut file, 88);
        let (width, height) = (self.width as u16, self.height as u16);
        if encoder.encode(self.pixels.as_flattened(), width, height, jpeg_encoder::ColorType::Rgb).is_err() {
            file.clear();
        }
        file
    }

    fn grain(&mut self, rng: &mut Rng, levels: u64) {
        for eight in self.pixels.chunks_mut(8) {
            let mut draw = rng.next();
            for [r, g, b] in eight {
                let dark = (levels - (((draw & 0xff) * levels) >> 8)) as u8;
                draw >>= 8;
                (*r, *g, *b) = (r.saturating_sub(dark), g.saturating_sub(dark), b.saturating_sub(dark));
            }
        }
    }
}

fn cells(line: &mut [Colour], left: i64, right: i64, mut paint: impl FnMut(i64, &mut Colour)) {
    let (first, count) = span(left, right);
    for (x, pixel) in line.iter_mut().enumerate().skip(first).take(count) {
        paint(x as i64, pixel);
    }
}

/// Where a range of coordinates starts on the canvas, and how long it is from there.
fn span(from: i64, to: i64) -> (usize, usize) {
    let first = from.max(0);
    (first as usize, (to - first).max(0) as usize)
}

fn blend([r, g, b]: &mut Colour, [red, green, blue]: Colour, percent: i64) {
    let mix = |from: u8, to: u8| (i64::from(from) + (i64::from(to) - i64::from(from)) * percent / 100) as u8;
    (*r, *g, *b) = (mix(*r, red), mix(*g, green), mix(*b, blue));
}
