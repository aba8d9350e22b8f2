//! The menu: groups, articles and the options that guests choose.

use super::calendar::Date;
use super::money::Cents;

/// A group of the menu; its number begins the numbers of its articles.
pub(super) struct Group {
    pub(super) number: i64,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) articles: &'static [Article],
}

/// What decides on tax and picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Food,
    Drink,
    /// Vouchers and credit: no turnover when sold (§ 3 Abs. 15 UStG), so no tax.
    Value,
    Admission,
}

/// A row of the menu: its number, name and price in cents.
#[derive(Clone, Copy)]
pub(super) struct Article {
    pub(super) number: i64,
    pub(super) name: &'static str,
    cents: i64,
}

/// From here on mains cost 50 cents more.
const PRICE_RISE: Date = Date::of(2025, 3, 1);

impl Article {
    pub(super) fn id(&self) -> String {
        format!("art_{}", self.number)
    }

    pub(super) fn price(&self, on: Date) -> Cents {
        let rise = if on < PRICE_RISE && self.cents >= 12_00 && self.kind() == Kind::Food { 50 } else { 0 };
        Cents(self.cents - rise)
    }

    pub(super) fn kind(&self) -> Kind {
        let group = MENU.iter().find(|group| group.number == self.number / 100);
        group.map_or(Kind::Food, |group| group.kind)
    }

    /// The rate in percent: food to go 7; food in the house 7 from 2021 to 2023 and from 2026 on, 19 between
    /// (§ 12 Abs. 2 Nr. 15 UStG); drinks and admission 19.
    pub(super) fn tax_rate(&self, on: Date, in_house: bool) -> u8 {
        match self.kind() {
            Kind::Value => 0,
            Kind::Food if !in_house || !matches!(on.year(), 2024 | 2025) => 7,
            _ => 19,
        }
    }

    /// Which option template its orders ask for.
    pub(super) fn option(&self) -> Option<&'static OptionTemplate> {
        let id = match self.number {
            406..=408 => "opt_garstufe",
            401..=405 => "opt_beilage",
            301..=306 => "opt_dressing",
            901..=906 => "opt_kugeln",
            _ => return None,
        };
        OPTIONS.iter().find(|option| option.id == id)
    }
}

/// Choices that the till offers with an article.
pub(super) struct OptionTemplate {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) choices: &'static [&'static str],
}

pub(super) const OPTIONS: &[OptionTemplate] = &[
    OptionTemplate { id: "opt_garstufe", name: "Garstufe", choices: &["rare", "medium", "well done"] },
    OptionTemplate {
        id: "opt_beilage",
        name: "Beilage",
        choices: &["mit Pommes", "mit Bratkartoffeln", "mit Kartoffelsalat", "mit Spätzle"],
    },
    OptionTemplate {
        id: "opt_dressing",
        name: "Dressing",
        choices: &["Balsamico", "Joghurt", "Essig & Öl", "ohne Dressing"],
    },
    OptionTemplate {
        id: "opt_kugeln",
        name: "Extra",
        choices: &["mit Sahne", "ohne Sahne", "extra Vanilleeis"],
    },
];

const fn a(number: i64, name: &'static str, cents: i64) -> Article {
    Article { number, name, cents }
}

const fn group(number: i64, name: &'static str, kind: Kind, articles: &'static [Article]) -> Group {
    Group { number, name, kind, articles }
}

pub(super) const VOUCHER: Article = a(9_901, "Gutschein", 0);
pub(super) const CREDIT: Article = a(9_902, "Guthaben aufladen", 0);
pub(super) const ADMISSION: Article = a(9_801, "Eintritt Tanzabend", 8_00);
pub(super) const ADMISSION_REDUCED: Article = a(9_802, "Eintritt Tanzabend (ermäßigt)", 5_00);

pub(super) const STARTERS: &[Article] = &[
    a(101, "Bruschetta mit Tomaten", 7_90),
    a(102, "Rinder-Carpaccio mit Rucola", 13_90),
    a(103, "Gebackener Camembert & Preiselbeeren", 9_50),
    a(104, "Matjes »Hausfrauen Art«", 10_80),
    a(105, "Obatzda mit Brezn", 8_90),
    a(106, "Feldsalat mit Speck", 9_90),
];
pub(super) const SOUPS: &[Article] = &[
    a(201, "Flädlesuppe", 5_90),
    a(202, "Tomatencremesuppe", 6_20),
    a(203, "Gulaschsuppe", 7_40),
    a(204, "Kürbiscremesuppe", 6_50),
    a(205, "Leberknödelsuppe", 6_30),
];
pub(super) const SALADS: &[Article] = &[
    a(301, "Kleiner Beilagensalat", 5_20),
    a(302, "Großer Salatteller", 11_90),
    a(303, "Salat mit Putenstreifen", 15_90),
    a(304, "Salat mit Ziegenkäse", 15_50),
    a(305, "Wurstsalat »Schweizer Art«", 12_50),
    a(306, "Caesar Salad", 14_20),
];
pub(super) const MAINS: &[Article] = &[
    a(401, "Wiener Schnitzel vom Kalb", 25_90),
    a(402, "Schweineschnitzel paniert", 16_90),
    a(403, "Jägerschnitzel", 18_40),
    a(404, "Cordon bleu", 19_80),
    a(405, "Backhendl", 17_60),
    a(406, "Zwiebelrostbraten", 27_90),
    a(407, "Rumpsteak 250 g", 29_80),
    a(408, "Hirschrücken mit Preiselbeeren", 32_50),
    a(409, "Schweinshaxe mit Knödel", 19_50),
    a(410, "Sauerbraten mit Rotkohl", 20_90),
    a(411, "Rinderroulade", 21_90),
    a(412, "Maultaschen geschmälzt", 14_80),
    a(413, "Linsen mit Spätzle & Saiten", 15_40),
    a(414, "Käsespätzle mit Röstzwiebeln", 14_50),
    a(415, "Wildgulasch", 22_80),
    a(416, "Leberkäse mit Spiegelei", 12_90),
];
pub(super) const FISH: &[Article] = &[
    a(501, "Forelle »Müllerin«", 21_50),
    a(502, "Zanderfilet auf Lauchgemüse", 24_90),
    a(503, "Lachsfilet vom Grill", 23_80),
    a(504, "Fish & Chips", 17_20),
];
pub(super) const VEGETARIAN: &[Article] = &[
    a(601, "Gemüse-Curry (vegan)", 15_90),
    a(602, "Pilzrahm mit Semmelknödel", 15_60),
    a(603, "Spinatknödel mit Bergkäse", 16_20),
    a(604, "Rote-Bete-Risotto", 16_80),
    a(605, "Kartoffelgratin", 13_40),
];
pub(super) const SIDES: &[Article] = &[
    a(701, "Pommes frites", 4_80),
    a(702, "Bratkartoffeln", 5_20),
    a(703, "Spätzle", 4_90),
    a(704, "Kartoffelsalat", 4_90),
    a(705, "Marktgemüse", 5_40),
    a(706, "Brotkorb", 3_20),
];
pub(super) const CHILDREN: &[Article] = &[
    a(801, "Kinderschnitzel »Räuber Hotzenplotz«", 9_80),
    a(802, "Spätzle mit Soße", 6_20),
    a(803, "Fischstäbchen & Püree", 8_90),
    a(804, "Nudeln mit Tomatensoße", 7_20),
];
pub(super) const DESSERTS: &[Article] = &[
    a(901, "Apfelstrudel mit Vanillesoße", 7_80),
    a(902, "Kaiserschmarrn", 11_50),
    a(903, "Mousse au Chocolat", 7_90),
    a(904, "Crème brûlée", 7_60),
    a(905, "Gemischtes Eis", 6_90),
    a(906, "Heiße Liebe", 7_40),
    a(907, "Schwarzwälder Kirschtorte", 5_20),
];
pub(super) const SOFT_DRINKS: &[Article] = &[
    a(1001, "Mineralwasser 0,25 l", 3_10),
    a(1002, "Mineralwasser 0,75 l", 6_90),
    a(1003, "Apfelschorle 0,4 l", 4_40),
    a(1004, "Johannisbeerschorle 0,4 l", 4_60),
    a(1005, "Cola 0,3 l", 3_60),
    a(1006, "Cola 0,4 l", 4_40),
    a(1007, "Spezi 0,4 l", 4_40),
    a(1008, "Zitronenlimonade 0,4 l", 4_20),
    a(1009, "Orangensaft 0,2 l", 3_80),
    a(1010, "Rhabarberschorle 0,4 l", 4_60),
];
pub(super) const BEERS: &[Article] = &[
    a(1101, "Helles 0,3 l", 3_70),
    a(1102, "Helles 0,5 l", 4_80),
    a(1103, "Pils 0,3 l", 3_80),
    a(1104, "Hefeweizen 0,5 l", 5_00),
    a(1105, "Kristallweizen 0,5 l", 5_00),
    a(1106, "Dunkles 0,5 l", 4_90),
    a(1107, "Radler 0,5 l", 4_70),
    a(1108, "Alkoholfreies Weizen 0,5 l", 4_90),
];
pub(super) const WINES: &[Article] = &[
    a(1201, "Riesling 0,2 l", 7_20),
    a(1202, "Grauburgunder 0,2 l", 7_60),
    a(1203, "Trollinger-Lemberger 0,25 l", 6_80),
    a(1204, "Spätburgunder 0,2 l", 8_20),
    a(1205, "Weinschorle 0,25 l", 4_90),
    a(1206, "Winzersekt 0,1 l", 5_90),
];
pub(super) const SPIRITS: &[Article] = &[
    a(1301, "Obstler 2 cl", 3_60),
    a(1302, "Kirschwasser 2 cl", 4_50),
    a(1303, "Williams-Christ 2 cl", 4_50),
    a(1304, "Ramazzotti 4 cl", 5_20),
    a(1305, "Aperol Spritz", 8_20),
    a(1306, "Hugo", 7_90),
    a(1307, "Gin Tonic", 9_80),
];
pub(super) const HOT_DRINKS: &[Article] = &[
    a(1401, "Espresso", 2_80),
    a(1402, "Kaffee Crema", 3_40),
    a(1403, "Cappuccino", 3_90),
    a(1404, "Milchkaffee", 4_30),
    a(1405, "Heiße Schokolade", 4_40),
    a(1406, "Tee (Kännchen)", 4_20),
];

/// Every group of the menu, in its order.
pub(super) const MENU: &[Group] = &[
    group(1, "Vorspeisen", Kind::Food, STARTERS),
    group(2, "Suppen", Kind::Food, SOUPS),
    group(3, "Salate", Kind::Food, SALADS),
    group(4, "Hauptgerichte", Kind::Food, MAINS),
    group(5, "Fisch", Kind::Food, FISH),
    group(6, "Vegetarisch & vegan", Kind::Food, VEGETARIAN),
    group(7, "Beilagen", Kind::Food, SIDES),
    group(8, "Für unsere kleinen Gäste", Kind::Food, CHILDREN),
    group(9, "Süßes", Kind::Food, DESSERTS),
    group(10, "Alkoholfreies", Kind::Drink, SOFT_DRINKS),
    group(11, "Biere vom Fass", Kind::Drink, BEERS),
    group(12, "Offene Weine", Kind::Drink, WINES),
    group(13, "Aperitif & Digestif", Kind::Drink, SPIRITS),
    group(14, "Heiße Getränke", Kind::Drink, HOT_DRINKS),
    group(98, "Tanzabend", Kind::Admission, &[ADMISSION, ADMISSION_REDUCED]),
    group(99, "Gutscheine & Guthaben", Kind::Value, &[VOUCHER, CREDIT]),
];
