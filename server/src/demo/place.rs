//! What stands before the first guest comes: settings, printers, rooms, the menu, the staff and their logins.

use super::House;
use super::calendar::Date;
use super::files::picture;
use super::json::Object;
use super::menu::{self, Kind, MENU};
use super::money::Cents;
use super::people::{Role, staff};
use super::rng::Rng;

/// Tables are numbered from 1.
pub(super) const TABLES: i64 = 24;

/// Password `demo`, Argon2id (RFC 9106) with little memory: it guards demo data alone.
const DEMO_PASSWORD: &str =
    "$argon2id$v=19$m=4096,t=2,p=1$R29sZGVuZXIgSGlyc2NoIQ$TFwE3JT/m0Q2599lpGK5yzKS7u85z9gmNpvq3rpaqls";

const ROOMS: &[(&str, &str, i64, i64)] = &[
    ("tblgrp_1", "Gaststube", 1, 10),
    ("tblgrp_2", "Nebenzimmer »Jägerstüble«", 11, 15),
    ("tblgrp_3", "Biergarten 🌳", 16, TABLES),
];

const PRINTERS: &[(&str, &str, &str, &str)] = &[
    ("prn_theke", "Theke", "192.168.178.40", "Bon"),
    ("prn_kueche", "Küche", "192.168.178.41", "Küche"),
    ("prn_buero", "Büro (A4)", "192.168.178.42", "Rechnung"),
];

const TEMPLATES: &[(&str, &str, &str)] = &[
    (
        "tpl_bon",
        "Kassenbon",
        "{{businessName}}\n{{#lines}}{{quantity}} × {{name}}\t{{total}} €\n{{/lines}}\nSumme: {{total}} €",
    ),
    (
        "tpl_kueche",
        "Küchenbon",
        "Tisch {{table}}\r\n{{#lines}}{{quantity}} {{name}} <b>{{note}}</b>\r\n{{/lines}}",
    ),
    (
        "tpl_rechnung",
        "Rechnung A4",
        "Rechnung {{invoiceNumber}}\nSehr geehrte Damen und Herren,\n…\\hrule\n{{total}} €",
    ),
    (
        "tpl_tagesabschluss",
        "Z-Bericht",
        "Z {{zNumber}}\u{2028}{{businessDate}}\n{{#taxes}}{{rate}} %: {{gross}} €\n{{/taxes}}",
    ),
];

impl House {
    pub(super) fn set_up(&mut self) {
        self.settings();
        self.rooms();
        self.menu();
        self.staff();
        for (id, name, price, article) in [
            ("adm_1", "Abendkasse", 8_00, menu::ADMISSION),
            ("adm_2", "Schüler & Studierende", 5_00, menu::ADMISSION_REDUCED),
        ] {
            let group = Object::document(id, "AdmissionGroup")
                .text("name", name)
                .value("price", Cents(price))
                .text("articleId", article.id())
                .value("minimumAge", 18);
            self.put("admission-groups", group);
        }
    }

    fn settings(&mut self) {
        let operational = Object::document("cfg_operational", "OperationalConfig")
            .text("businessName", "Zum Goldenen Hirschen")
            .text("owner", "Margarete Hirsch")
            .text("street", "Marktplatz 3")
            .text("postalCode", "73728")
            .text("city", "Esslingen am Neckar")
            .text("phone", "+49 30 23125 100")
            .plain("vatId", "DE000000000")
            .plain("taxNumber", "59000/00000")
            .text("currency", "EUR")
            .texts("closedOn", &["Monday"])
            .texts("clients", &[super::receipt::CLIENT_ID])
            .text("tseSerial", super::receipt::TSE_SERIAL)
            .text("tseSignatureAlgorithm", "demo-sha512")
            .text("tseLogTimeFormat", "utcTime")
            .text("receiptFooter", "Danke & auf Wiedersehen!\nTrinkgeld ist freiwillig. 🦌")
            .value("coordinates", "[48.740530,9.304930]");
        let frontend = Object::document("cfg_frontend", "FrontendConfig")
            .text("language", "de")
            .text("theme", "dark")
            .value("buttonColumns", 6)
            .value("askForTip", true)
            .texts("favourites", &["art_1102", "art_401", "art_414", "art_1003"]);
        let backend = Object::document("cfg_backend", "BackendConfig")
            .text("backupTime", "04:00")
            .value("keepBackups", 14)
            .escaped("exportFolder", "C:\\Kasse\\Sicherung/Täglich");
        for document in [operational, frontend, backend] {
            self.put("settings", document);
        }
        for (id, name, address, use_for) in PRINTERS {
            let printer = Object::document(id, "Printer")
                .text("name", name)
                .text("address", address)
                .value("port", 9100)
                .text("use", use_for)
                .value("columns", 42);
            self.put("printers", printer);
        }
        for (id, name, body) in TEMPLATES {
            let template = Object::document(id, "PrintTemplate").text("name", name).text("body", body);
            self.put("print-templates", template);
        }
    }

    fn rooms(&mut self) {
        for (sort, (id, name, first, last)) in ROOMS.iter().enumerate() {
            let group = Object::document(id, "TableGroup").text("name", name).value("sort", sort + 1);
            self.put("table-groups", group);
            for number in *first..=*last {
                let table = Object::document(&format!("tbl_{number:02}"), "Table")
                    .value("number", number)
                    .text("name", format!("Tisch {number}"))
                    .text("tableGroupId", id)
                    .value("seats", Rng::of("seats", number).pick(&[2, 4, 4, 6, 8]))
                    .value("x", (number - first) % 5 * 120 + 40)
                    .value("y", (number - first) / 5 * 120 + 40);
                self.put("tables", table);
            }
        }
    }

    fn menu(&mut self) {
        for template in menu::OPTIONS {
            let choices = template
                .choices
                .iter()
                .map(|name| Object::new().text("name", name).value("surcharge", Cents::ZERO));
            let document = Object::document(template.id, "OptionTemplate")
                .text("name", template.name)
                .list("choices", choices);
            self.put("option-templates", document);
        }
        for group in MENU {
            let id = format!("artgrp_{}", group.number);
            let printer = if group.kind == Kind::Food { "prn_kueche" } else { "prn_theke" };
            let document = Object::document(&id, "ArticleGroup")
                .text("name", group.name)
                .value("sort", group.number)
                .text("printerId", printer);
            self.put("article-groups", document);
            for article in group.articles {
                let [in_house, to_go] = [true, false].map(|place| article.tax_rate(super::LAST_DAY, place));
                let document = Object::document(&article.id(), "Article")
                    .value("number", article.number)
                    .text("name", article.name)
                    .text("articleGroupId", &id)
                    .value("price", article.price(super::LAST_DAY))
                    .value("taxRateInHouse", in_house)
                    .value("taxRateToGo", to_go)
                    .maybe("optionTemplateId", article.option().map(|template| template.id))
                    .value("isActive", true);
                self.put("articles", document);
                if matches!(group.kind, Kind::Food | Kind::Drink) {
                    let name = format!("{}.png", article.name);
                    self.attach("articles", &article.id(), name, "image/png", picture::article(article));
                }
            }
        }
    }

    fn staff(&mut self) {
        for employee in staff() {
            let rng = &mut Rng::of("employee", employee.number);
            let (street, code, town) = super::people::address(rng);
            let role = match employee.role {
                Role::Owner => "Inhaberin",
                Role::Service => "Service",
                Role::Kitchen => "Küche",
            };
            let document = Object::document(&employee.id(), "Employee")
                .value("number", employee.number)
                .text("firstName", employee.first_name)
                .text("lastName", employee.last_name)
                .text("role", role)
                .value("hourlyWage", Cents(employee.wage))
                .plain("hiredOn", Date::of(rng.between(2009, 2023), rng.between(1, 12), 1))
                .text("street", street)
                .text("postalCode", code)
                .text("city", town)
                .text("phone", super::people::phone(rng));
            self.number("employees");
            self.put("employees", document);
            let photo = picture::portrait(employee.number);
            self.attach(
                "employees",
                &employee.id(),
                format!("Foto {}.jpg", employee.name()),
                "image/jpeg",
                photo,
            );
        }
        for (id, username, role, employee) in
            [("usr_admin", "admin", "admin", "emp_001"), ("usr_kasse", "kasse", "till", "emp_002")]
        {
            let user = Object::document(id, "User")
                .text("username", username)
                .text("role", role)
                .text("employeeId", employee)
                .text("passwordHash", DEMO_PASSWORD)
                .value("isActive", true);
            self.put("users", user);
        }
    }
}
