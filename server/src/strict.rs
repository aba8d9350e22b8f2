//! JSON of requests, taken as OpenAPI describes it: an object is no list of its values, and a whole number has 63 bits.
//!
//! What serde derives for a struct takes a list of the fields' values as well, and numbers of 64 bits.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde_json::{Error, Value};

/// The largest whole number of the API, that of `int64`.
pub(crate) const MOST: u64 = i64::MAX.unsigned_abs();

/// Reads what a caller sent.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    // Says where something is wrong, and finds what comes twice.
    let _: T = serde_json::from_slice(bytes)?;
    T::deserialize(Strict(&serde_json::from_slice(bytes)?))
}

#[derive(Clone, Copy)]
struct Strict<'a>(&'a Value);

impl<'de> Deserializer<'de> for Strict<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(values) => visitor.visit_seq(SeqDeserializer::new(values.iter().map(Strict))),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.as_str(), Strict(value)));
                visitor.visit_map(MapDeserializer::new(fields))
            }
            Value::Number(number) if number.as_u64().is_some_and(|number| number > MOST) => {
                Err(Error::custom(format_args!("expected a number up to {MOST}, found {number}")))
            }
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &"an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Strict<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Kind {
        Full,
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        count: u64,
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Outer {
        kind: Kind,
        list: Vec<Inner>,
        maybe: Option<Inner>,
    }

    #[test]
    fn objects_come_as_objects_at_every_depth() {
        let text = r#"{"kind":"full","list":[{"count":9223372036854775807}],"maybe":null}"#;
        let expected = Outer { kind: Kind::Full, list: vec![Inner { count: MOST }], maybe: None };
        assert_eq!(from_slice::<Outer>(text.as_bytes()).unwrap(), expected);
        for (wrong, why) in [
            (r#"["full",[],null]"#, "expected an object"),
            (r#"{"kind":"full","list":[[1]],"maybe":null}"#, "expected an object"),
            (r#"{"kind":"full","list":[],"maybe":[1]}"#, "expected an object"),
            (r#"{"kind":"full","list":[{"count":9223372036854775808}]}"#, "up to 9223372036854775807"),
            (r#"{"kind":"full","list":[],"list":[]}"#, "duplicate field"),
            (r#"{"kind":"full","list":[{"count":1,"more":1}]}"#, "unknown field"),
            (r#"{"kind":"full","list":[]} {}"#, "trailing characters"),
            (r#"{"kind":"other","list":[]}"#, "unknown variant"),
            ("null", "invalid type: null"),
            ("", "EOF"),
        ] {
            let error = from_slice::<Outer>(wrong.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
