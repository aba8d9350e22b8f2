//! Staff, customers and the names that are drawn for everybody else.

use super::rng::Rng;

/// Someone who works in the house; the number makes the id.
#[derive(Clone, Copy)]
pub(super) struct Employee {
    pub(super) number: i64,
    pub(super) first_name: &'static str,
    pub(super) last_name: &'static str,
    pub(super) role: Role,
    /// Hourly wage in cents.
    pub(super) wage: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Owner,
    Service,
    Kitchen,
}

impl Employee {
    pub(super) fn id(&self) -> String {
        format!("emp_{:03}", self.number)
    }

    pub(super) fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }
}

const fn works(
    number: i64,
    first_name: &'static str,
    last_name: &'static str,
    role: Role,
    wage: i64,
) -> Employee {
    Employee { number, first_name, last_name, role, wage }
}

pub(super) const OWNER: Employee = works(1, "Margarete", "Hirsch", Role::Owner, 0);

pub(super) const SERVICE: &[Employee] = &[
    works(2, "Jürgen", "Bäuerle", Role::Service, 16_50),
    works(3, "Ayşe", "Yıldırım", Role::Service, 15_80),
    works(4, "Sören", "Groß", Role::Service, 14_90),
    works(5, "Zoë", "Lefèvre", Role::Service, 14_20),
    works(6, "Katharina", "Öttinger", Role::Service, 15_20),
    works(7, "Tomáš", "Dvořák", Role::Service, 14_20),
];

pub(super) const KITCHEN: &[Employee] = &[
    works(8, "Wolfgang", "Käßmann", Role::Kitchen, 21_00),
    works(9, "Nguyễn", "Văn An", Role::Kitchen, 17_40),
    works(10, "Bärbel", "Schäufele", Role::Kitchen, 15_60),
    works(11, "Łukasz", "Żak", Role::Kitchen, 14_80),
    works(12, "Jean-Noël", "D’Angelo", Role::Kitchen, 18_20),
];

/// Everybody, in the order of their numbers.
pub(super) fn staff() -> impl Iterator<Item = &'static Employee> {
    std::iter::once(&OWNER).chain(SERVICE).chain(KITCHEN)
}

const FIRST_NAMES: &[&str] = &[
    "Anna",
    "Björn",
    "Cäcilia",
    "Dieter",
    "Elif",
    "Florian",
    "Günther",
    "Heike",
    "Ines",
    "Jörg",
    "Käthe",
    "Lukas",
    "Monika",
    "Nils",
    "Özlem",
    "Petra",
    "Quirin",
    "Rüdiger",
    "Søren",
    "Tülay",
    "Uwe",
    "Verena",
    "Wiebke",
    "Xaver",
    "Yvonne",
    "Zoran",
    "François",
    "Siobhán",
];

const LAST_NAMES: &[&str] = &[
    "Müller",
    "Schäfer",
    "Köhler",
    "Weiß",
    "Jäger",
    "Groß",
    "Kühn",
    "Böhm",
    "Hübner",
    "Fuchs",
    "Lang",
    "Krämer",
    "Vogt",
    "Häberle",
    "Pfleiderer",
    "Özdemir",
    "Kowalski",
    "Nowak",
    "Rossi",
    "Öztürk",
    "Bühler",
    "Straßer",
    "von der Heide",
    "O’Neill",
    "Großmann-Süß",
    "Zimmermann",
    "Übelhör",
    "Beyer",
];

const STREETS: &[&str] = &[
    "Hauptstraße",
    "Marktplatz",
    "Gartenweg",
    "Mühlgasse",
    "Bahnhofstraße",
    "Lindenallee",
    "Schloßberg",
    "Am Rathaus",
    "Brühlstraße",
    "Weinsteige",
];

const TOWNS: &[(&str, &str)] = &[
    ("73728", "Esslingen am Neckar"),
    ("72070", "Tübingen"),
    ("71634", "Ludwigsburg"),
    ("73525", "Schwäbisch Gmünd"),
    ("70173", "Stuttgart"),
    ("73033", "Göppingen"),
    ("72622", "Nürtingen"),
];

pub(super) const COMPANIES: &[&str] = &[
    "Bäckerei Kühn & Söhne OHG",
    "Autohaus Häberle GmbH & Co. KG",
    "Stadtwerke Neckartal",
    "Kanzlei Dr. Weiß + Partner",
    "Maschinenbau Übelhör AG",
    "Förderverein »Alte Mühle« e. V.",
    "Zahnarztpraxis Dr. Öztürk",
    "IT-Haus \"Byte & Bürste\"",
    "Landmetzgerei Schäufele",
    "Musikverein 1898 e. V.",
    "Architekten Böhm/Vogt",
    "Gymnasium am Schloßberg",
];

/// A name for a guest.
pub(super) fn name(rng: &mut Rng) -> (&'static str, &'static str) {
    (rng.pick(FIRST_NAMES), rng.pick(LAST_NAMES))
}

/// Street and number, postal code, town.
pub(super) fn address(rng: &mut Rng) -> (String, &'static str, &'static str) {
    let (code, town) = rng.pick(TOWNS);
    (format!("{} {}", rng.pick(STREETS), rng.between(1, 98)), code, town)
}

/// A number of the range that is never given to anyone for use in films and books (Bundesnetzagentur).
pub(super) fn phone(rng: &mut Rng) -> String {
    format!("+49 30 23125 {:03}", rng.between(0, 999))
}
