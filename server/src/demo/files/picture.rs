//! Pictures of dishes, drinks and people.

use super::canvas::{Canvas, Colour};
use crate::demo::menu::Article;
use crate::demo::rng::Rng;

const WHITE: Colour = [252, 251, 247];
const SHADOW: Colour = [60, 44, 30];

/// What a group's dishes are made of.
const PALETTES: &[(i64, &[Colour])] = &[
    (1, &[[198, 62, 44], [236, 203, 150], [94, 138, 60], [222, 150, 120]]),
    (2, &[[206, 104, 38], [190, 58, 40], [212, 176, 92], [138, 74, 40]]),
    (3, &[[96, 150, 58], [140, 180, 74], [206, 60, 48], [238, 226, 190]]),
    (4, &[[156, 96, 44], [196, 140, 66], [226, 190, 108], [108, 62, 34]]),
    (5, &[[232, 164, 128], [240, 222, 190], [120, 160, 90], [244, 214, 92]]),
    (6, &[[222, 160, 60], [120, 150, 62], [150, 50, 80], [236, 216, 160]]),
    (7, &[[236, 196, 92], [222, 176, 84], [240, 226, 170], [110, 150, 66]]),
    (8, &[[226, 178, 96], [214, 70, 48], [240, 214, 130], [130, 170, 80]]),
    (9, &[[250, 236, 200], [112, 64, 40], [214, 60, 84], [238, 190, 110]]),
];

/// What is in the glass, by the number of the article.
fn liquid(number: i64) -> Colour {
    match number {
        1001 | 1002 => [222, 236, 240],
        1003 | 1008 => [236, 214, 120],
        1004 => [150, 30, 60],
        1005..=1007 => [70, 34, 20],
        1009 => [246, 170, 40],
        1010 => [238, 150, 150],
        1104 | 1108 => [224, 160, 60],
        1106 => [86, 46, 24],
        1101..=1107 => [240, 184, 56],
        1203 | 1204 => [124, 20, 44],
        1200..=1206 => [240, 226, 150],
        1304 => [60, 26, 20],
        1305 => [240, 110, 40],
        1401 | 1402 => [60, 34, 22],
        1405 => [112, 66, 40],
        1406 => [176, 96, 40],
        1403 | 1404 => [200, 160, 120],
        _ => [228, 232, 226],
    }
}

/// The picture of an article as PNG. Two sizes of the same drink share one.
pub(in crate::demo) fn article(article: &Article) -> Vec<u8> {
    let number = match article.number {
        1002 => 1001,
        1006 => 1005,
        1102 => 1101,
        number => number,
    };
    let rng = &mut Rng::of("picture", number);
    let wood = rng.pick(&[[150, 108, 72], [172, 132, 92], [112, 84, 62], [206, 190, 168], [92, 104, 96]]);
    let mut canvas = Canvas::new(320, 240, wood);
    for _ in 0..9 {
        // The grain of the table.
        let (y, height) = (rng.between(0, 239), rng.between(1, 9));
        canvas.ellipse((rng.between(0, 320), y), (rng.between(120, 380), height), SHADOW, 8);
    }
    canvas.shade(rng.between(20, 140), rng.between(-20, 60), [40, 28, 20]);
    match number {
        200..=299 => bowl(&mut canvas, rng, number),
        1000..=1399 => glass(&mut canvas, rng, number),
        1400..=1499 => cup(&mut canvas, rng, number),
        _ => plate(&mut canvas, rng, number),
    }
    canvas.png(rng, 4)
}

fn palette(number: i64) -> &'static [Colour] {
    PALETTES.iter().find(|(group, _)| *group == number / 100).map_or(&[WHITE], |(_, palette)| palette)
}

fn plate(canvas: &mut Canvas, rng: &mut Rng, number: i64) {
    let size = if number >= 900 { 92 } else { 110 };
    china(canvas, size);
    let palette = palette(number);
    for _ in 0..rng.between(2, 4) {
        let (x, y) = (rng.between(120, 200), rng.between(95, 145));
        let (wide, high) = (rng.between(24, 52), rng.between(16, 34));
        let colour = rng.pick(palette);
        canvas.ellipse((x + 3, y + 5), (wide, high), SHADOW, 30);
        canvas.ellipse((x, y), (wide, high), colour, 100);
        canvas.ellipse((x - 5, y - 5), (wide * 2 / 3, high / 2), WHITE, 16);
        crumbs(canvas, rng, (x, y), (wide * 3 / 4, high * 3 / 4), 14);
    }
    for _ in 0..rng.between(5, 18) {
        // Garnish.
        let at = (rng.between(110, 210), rng.between(85, 155));
        let size = rng.between(3, 8);
        let colour = rng.pick(palette);
        canvas.ellipse((at.0 + 1, at.1 + 2), (size, size), SHADOW, 30);
        canvas.ellipse(at, (size, size), colour, 100);
        canvas.ellipse((at.0 - 1, at.1 - 1), (size / 2, size / 2), WHITE, 30);
    }
}

fn crumbs(canvas: &mut Canvas, rng: &mut Rng, at: (i64, i64), reach: (i64, i64), count: i64) {
    for _ in 0..count {
        let spot = (at.0 + rng.around_middle(-reach.0, reach.0), at.1 + rng.around_middle(-reach.1, reach.1));
        let (size, colour) = (rng.between(1, 3), rng.pick(&[SHADOW, WHITE]));
        canvas.ellipse(spot, (size, size), colour, 22);
    }
}

fn china(canvas: &mut Canvas, size: i64) {
    let middle = (160, 120);
    canvas.ellipse((166, 130), (size + 4, size), SHADOW, 45);
    canvas.ellipse(middle, (size, size * 9 / 10), WHITE, 100);
    canvas.ellipse(middle, (size * 3 / 4, size * 27 / 40), [226, 224, 216], 100);
    canvas.ellipse((160, 121), (size * 3 / 4 - 2, size * 27 / 40 - 2), [244, 242, 236], 100);
}

fn bowl(canvas: &mut Canvas, rng: &mut Rng, number: i64) {
    china(canvas, 108);
    let colour = rng.pick(palette(number));
    canvas.ellipse((160, 120), (76, 68), SHADOW, 30);
    canvas.ellipse((160, 122), (73, 65), colour, 100);
    canvas.ellipse((146, 106), (40, 26), WHITE, 12);
    for _ in 0..rng.between(8, 20) {
        let at = (rng.around_middle(100, 220), rng.around_middle(70, 170));
        let herb = rng.pick(&[[70, 120, 50], [240, 232, 204], [96, 60, 34]]);
        canvas.ellipse(at, (rng.between(2, 9), rng.between(2, 6)), herb, 92);
    }
}

fn glass(canvas: &mut Canvas, rng: &mut Rng, number: i64) {
    let colour = liquid(number);
    let (top, bottom, wide, narrow) = match number {
        1100..=1199 => (26, 214, 44, 34),
        1200..=1299 | 1305..=1307 => (40, 130, 46, 20),
        1300..=1304 => (110, 206, 24, 18),
        _ => (42, 210, 38, 32),
    };
    canvas.ellipse((172, 214), (64, 12), SHADOW, 50);
    if bottom < 180 {
        // A stem and a foot.
        canvas.trapezoid(160, (bottom, 208), (4, 3), WHITE, 60);
        canvas.ellipse((160, 210), (36, 7), WHITE, 60);
    }
    canvas.trapezoid(160, (top, bottom), (wide, narrow), WHITE, 34);
    let fill = top + rng.between(14, 26);
    canvas.trapezoid(160, (fill, bottom - 5), (wide - 4, narrow - 2), colour, 88);
    canvas.ellipse((160, bottom - 4), (narrow, 6), colour, 80);
    canvas.ellipse((160, fill), (wide - 4, 6), colour, 100);
    for _ in 0..rng.between(12, 30) {
        let size = rng.between(1, 3);
        let bubble = (160 + rng.around_middle(-narrow + 4, narrow - 4), rng.between(fill + 6, bottom - 8));
        canvas.ellipse(bubble, (size, size), WHITE, 40);
    }
    if (1100..=1199).contains(&number) {
        canvas.trapezoid(160, (top - 6, fill + 8), (wide, wide - 3), WHITE, 100);
        for step in -4..=4 {
            canvas.ellipse((160 + step * 10, top - 4), (12, rng.between(7, 12)), WHITE, 100);
        }
    }
    canvas.trapezoid(160 - wide / 2, (top + 8, bottom - 12), (4, 3), WHITE, 38);
}

fn cup(canvas: &mut Canvas, rng: &mut Rng, number: i64) {
    china(canvas, 100);
    canvas.ellipse((236, 118), (22, 16), WHITE, 100);
    canvas.ellipse((234, 118), (12, 8), [226, 224, 216], 100);
    canvas.ellipse((164, 126), (66, 60), SHADOW, 30);
    canvas.ellipse((160, 118), (64, 58), WHITE, 100);
    canvas.ellipse((160, 118), (56, 50), liquid(number), 100);
    for _ in 0..rng.between(3, 9) {
        let at = (rng.between(135, 185), rng.between(98, 138));
        canvas.ellipse(at, (rng.between(4, 16), rng.between(3, 10)), [244, 232, 214], 46);
    }
}

/// A drawn portrait as JPEG.
pub(in crate::demo) fn portrait(number: i64) -> Vec<u8> {
    let rng = &mut Rng::of("portrait", number);
    let wall = rng.pick(&[[196, 214, 222], [222, 206, 188], [188, 206, 180], [214, 196, 212]]);
    let skin = rng.pick(&[[240, 206, 178], [224, 178, 142], [188, 136, 98], [248, 218, 196]]);
    let hair = rng.pick(&[[60, 42, 30], [150, 104, 56], [200, 196, 190], [32, 28, 28], [166, 74, 40]]);
    let shirt = rng.pick(&[[40, 70, 60], [120, 34, 44], [52, 60, 90], [236, 234, 228]]);
    let mut canvas = Canvas::new(360, 400, wall);
    canvas.shade(rng.between(0, 160), rng.between(0, 120), [90, 84, 90]);
    let long = rng.chance(500);
    let face = (rng.between(66, 76), rng.between(84, 94));
    if long {
        canvas.ellipse((180, 210), (face.0 + 24, 130), hair, 100);
    }
    canvas.ellipse((180, 430), (140, 130), shirt, 100);
    canvas.trapezoid(180, (240, 318), (30, 36), skin, 100);
    canvas.trapezoid(180, (250, 290), (26, 30), SHADOW, 14);
    canvas.ellipse((180, 150), (face.0 + 10, face.1 + 8), hair, 100);
    canvas.ellipse((180, 180), face, skin, 100);
    canvas.ellipse((160, 150), (face.0 / 2, face.1 / 2), WHITE, 10);
    canvas.ellipse((180, 104), (face.0 - 8, 28), hair, 100);
    let iris = rng.pick(&[[70, 110, 150], [90, 60, 36], [80, 120, 80]]);
    for x in [153, 207] {
        canvas.ellipse((x, 172), (13, 8), WHITE, 100);
        canvas.ellipse((x, 172), (6, 7), iris, 100);
        canvas.ellipse((x, 172), (3, 3), [20, 16, 16], 100);
        canvas.ellipse((x, 154), (16, 4), hair, 100);
        canvas.ellipse((x - 4 + (x - 180) / 3, 208), (15, 11), [230, 120, 110], 22);
    }
    canvas.ellipse((180, 198), (8, 14), SHADOW, 12);
    canvas.ellipse((180, 228), (26, 11), [176, 70, 70], 100);
    canvas.ellipse((180, 221), (27, 9), skin, 100);
    canvas.jpeg(rng, 12)
}
