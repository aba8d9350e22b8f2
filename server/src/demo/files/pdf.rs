//! One-page PDF documents: text in Helvetica on paper that looks scanned (PDF 1.4, ISO 32000-1 sections 7.5 and 9).

use super::canvas::Canvas;
use crate::demo::rng::Rng;

/// What stands on the page.
pub(in crate::demo) struct Page {
    pub(in crate::demo) title: String,
    pub(in crate::demo) lines: Vec<String>,
    /// Makes the grain of the paper its own.
    pub(in crate::demo) seed: i64,
}

/// The file.
pub(in crate::demo) fn write(page: &Page) -> Vec<u8> {
    let (width, height, paper) = scan(page.seed);
    let mut text = b"q 420 0 0 595 0 0 cm /Paper Do Q\nBT /Bold 16 Tf 40 530 Td (".to_vec();
    text.extend(win_ansi(&page.title));
    text.extend(b") Tj /Regular 10 Tf 0 -30 Td 15 TL\n");
    for line in &page.lines {
        text.push(b'(');
        text.extend(win_ansi(line));
        text.extend(b") Tj T*\n");
    }
    text.extend(b"ET\n");
    let image = format!(
        "/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceRGB \
         /BitsPerComponent 8 /Filter /DCTDecode"
    );
    let font = |name: &str| {
        format!("<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>").into_bytes()
    };
    let page_object = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 420 595] /Contents 4 0 R /Resources << \
        /Font << /Regular 5 0 R /Bold 6 0 R >> /XObject << /Paper 7 0 R >> >> >>";
    assemble(&[
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        page_object.to_vec(),
        stream("", &text),
        font("Helvetica"),
        font("Helvetica-Bold"),
        stream(&image, &paper),
    ])
}

fn stream(dictionary: &str, bytes: &[u8]) -> Vec<u8> {
    let mut object = format!("<< {dictionary} /Length {} >>\nstream\n", bytes.len()).into_bytes();
    object.extend(bytes);
    object.extend(b"\nendstream");
    object
}

/// Header, objects numbered from 1, cross-reference table and trailer.
fn assemble(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (at, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.extend(format!("{} 0 obj\n", at + 1).bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let start = file.len();
    file.extend(table.bytes());
    let trailer =
        format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1);
    file.extend(trailer.bytes());
    file
}

/// A string's bytes in the standard encoding of the fonts (annex D.2), with its three special characters escaped.
fn win_ansi(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        let byte = match character {
            '€' => 0x80,
            '–' => 0x96,
            '’' => 0x92,
            ' '..='~' | '\u{a0}'..='\u{ff}' => u8::try_from(u32::from(character)).unwrap_or(b'?'),
            _ => b'?',
        };
        if matches!(byte, b'(' | b')' | b'\\') {
            bytes.push(b'\\');
        }
        bytes.push(byte);
    }
    bytes
}

/// Width, height and JPEG of a sheet of paper, somewhat stained.
fn scan(seed: i64) -> (usize, usize, Vec<u8>) {
    let rng = &mut Rng::of("paper", seed);
    let mut canvas = Canvas::new(210, 297, [250, 247, 238]);
    canvas.shade(rng.between(-40, 250), rng.between(-40, 340), [226, 219, 203]);
    if rng.chance(400) {
        // Where a cup of coffee stood.
        let (x, y, size) = (rng.between(40, 180), rng.between(150, 270), rng.between(22, 30));
        canvas.ellipse((x, y), (size, size), [203, 176, 140], 90);
        canvas.ellipse((x, y), (size - 3, size - 3), [247, 243, 233], 100);
    }
    (210, 297, canvas.jpeg(rng, 9))
}
