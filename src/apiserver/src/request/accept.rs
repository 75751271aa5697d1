//! The form in which a client wants its answer.

use std::cmp::Reverse;

use api::kinds::Kind;
use api::status::Status;
use http::{HeaderMap, header};

use super::Query;
use crate::form::{self, Form, PROTOBUF, YAML};
use crate::review;

/// What an answer may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accept {
    Json,
    /// Columns and cells, as kubectl prints them; of `meta.k8s.io` in this version.
    Table(&'static str, RowObject),
    /// The metadata alone.
    Partial,
    PartialList,
}

/// How much of its object each row of a table carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowObject {
    None,
    Metadata,
    /// All of it: kubectl sorts by any field.
    Whole,
}

/// What there is to choose from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// What is asked for; none for answers that have no kind of their own. Not every kind has a protobuf form.
    pub(crate) kind: Option<&'static Kind>,
    /// Whether the answer is a stream of events, which YAML has no form for.
    pub(crate) watch: bool,
}

const JSON: &str = "application/json";

impl Offer {
    pub(crate) const ALL: Self = Self { kind: None, watch: false };

    /// Looked up only where a client wants some.
    fn has_protobuf(self) -> bool {
        self.kind.is_none_or(form::has_protobuf)
    }

    /// What is asked in the body and answered there is nowhere listed: nobody says what its columns are.
    fn has_tables(self) -> bool {
        self.kind.is_none_or(|kind| !review::answers(kind))
    }

    fn refusal(self) -> Status {
        let wholes = [JSON, YAML, PROTOBUF];
        let streams = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];
        let offered: &[&str] = if self.watch { &streams } else { &wholes };
        Status::not_acceptable(if self.has_protobuf() { offered } else { &offered[..offered.len() - 1] })
    }
}

impl Accept {
    /// The best of the client's wishes that can be met; JSON for one who wishes nothing.
    pub(crate) fn of(headers: &HeaderMap, offer: Offer) -> Result<(Self, Form), Status> {
        let wishes = Wish::all(headers);
        if wishes.is_empty() {
            return Ok((Self::Json, Form::Json));
        }
        let met = wishes.iter().find_map(|wish| wish.met(offer)).ok_or_else(|| offer.refusal())?;
        if offer.watch && met.1 == Form::Yaml { Err(offer.refusal()) } else { Ok(met) }
    }
}

impl Accept {
    /// The same, with as much of each object in a table as `includeObject` asks for.
    pub(crate) fn carrying(self, query: &Query) -> Result<Self, Status> {
        let Self::Table(version, usual) = self else { return Ok(self) };
        let carried = match query.text("includeObject") {
            None => usual,
            Some("None") => RowObject::None,
            Some("Metadata") => RowObject::Metadata,
            Some("Object") => RowObject::Whole,
            Some(other) => {
                return Err(Status::bad_request(format!("unrecognized includeObject value: {other:?}")));
            }
        };
        Ok(Self::Table(version, carried))
    }

    /// Whether discovery is wanted in one document, before any other form.
    pub(crate) fn wants_all_groups(headers: &HeaderMap) -> bool {
        let aggregated = |wish: &Wish<'_>| {
            let said = ["as", "g", "v"].map(|name| wish.parameter(name));
            let list = [Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2")];
            (wish.media_type == JSON && said == list).then_some(true)
        };
        let plain = |wish: &Wish<'_>| wish.met(Offer::ALL).map(|_| false);
        Wish::all(headers).iter().find_map(|wish| aggregated(wish).or_else(|| plain(wish))).unwrap_or(false)
    }
}

/// One range of an Accept header.
struct Wish<'a> {
    media_type: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    /// In thousandths.
    quality: u16,
}

impl<'a> Wish<'a> {
    /// The best first.
    fn all(headers: &'a HeaderMap) -> Vec<Self> {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges = values.flat_map(|value| value.split(','));
        let mut wishes: Vec<Self> = ranges.filter_map(Self::parse).collect();
        wishes.sort_by_key(Self::order);
        wishes
    }

    /// None for nothing, and for what the client does not want at all.
    fn parse(range: &'a str) -> Option<Self> {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().filter(|text| !text.is_empty())?;
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let quality = parameters.iter().find(|(name, _)| *name == "q").map_or(1000, |(_, q)| thousandths(q));
        (quality > 0).then_some(Self { media_type, parameters, quality })
    }

    /// The most wanted first; of equals what is said more exactly, then what is said first.
    fn order(&self) -> (Reverse<u16>, bool, bool) {
        (Reverse(self.quality), self.media_type.starts_with('*'), self.media_type.ends_with('*'))
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn met(&self, offer: Offer) -> Option<(Accept, Form)> {
        let form = match self.media_type {
            JSON | "application/*" | "*/*" if self.parameter("pretty") == Some("1") => Form::Pretty,
            JSON | "application/*" | "*/*" => Form::Json,
            YAML => Form::Yaml,
            PROTOBUF if offer.has_protobuf() => Form::Protobuf,
            _ => return None,
        };
        let accept = match (self.parameter("as"), self.parameter("g"), self.parameter("v")) {
            (None, _, _) => Accept::Json,
            // There are no tables in protobuf.
            (Some("Table"), _, _) if form == Form::Protobuf || !offer.has_tables() => return None,
            (Some("Table"), Some("meta.k8s.io"), Some("v1")) => Accept::Table("v1", RowObject::Metadata),
            (Some("Table"), Some("meta.k8s.io"), Some("v1beta1")) => {
                Accept::Table("v1beta1", RowObject::Metadata)
            }
            (Some("PartialObjectMetadata"), Some("meta.k8s.io"), Some("v1")) => Accept::Partial,
            (Some("PartialObjectMetadataList"), Some("meta.k8s.io"), Some("v1")) => Accept::PartialList,
            _ => return None,
        };
        Some((accept, form))
    }
}

/// `0.8` is 800; what is not a quality is a full one.
pub(crate) fn thousandths(quality: &str) -> u16 {
    let quality = quality.trim().parse::<f32>().ok().filter(|quality| (0.0..=1.0).contains(quality));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 1000")]
    quality.map_or(1000, |quality| (quality * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str) -> Result<(Accept, Form), u16> {
        offered(accept, Offer::ALL).map_err(|status| status.code)
    }

    fn offered(accept: &str, offer: Offer) -> Result<(Accept, Form), Status> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Accept::of(&headers, offer)
    }

    #[test]
    fn the_best_wish_that_can_be_met_counts() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(of(kubectl), Ok((Accept::Table("v1", RowObject::Metadata), Form::Json)));
        let unknown = "application/json;as=Table;v=v9;g=meta.k8s.io, application/json";
        assert_eq!(of(unknown), Ok((Accept::Json, Form::Json)));
        let partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        assert_eq!(of(partial), Ok((Accept::Partial, Form::Json)));
        assert_eq!(of("text/html,*/*;q=0.8"), Ok((Accept::Json, Form::Json)));
        assert_eq!(of("application/yaml;q=0.8, application/json;q=0.9"), Ok((Accept::Json, Form::Json)));
        assert_eq!(of("*/*, application/yaml"), Ok((Accept::Json, Form::Yaml)));
        assert_eq!(of("application/json;q=0, application/yaml;q=0.1"), Ok((Accept::Json, Form::Yaml)));
        assert_eq!(of("application/json;pretty=1"), Ok((Accept::Json, Form::Pretty)));
        assert_eq!(of("text/html"), Err(406));
        assert_eq!(Accept::of(&HeaderMap::new(), Offer::ALL), Ok((Accept::Json, Form::Json)));
    }

    #[test]
    fn rows_carry_what_the_client_asks_for() {
        let table = Accept::Table("v1", RowObject::Metadata);
        let carrying =
            |query: &str| table.carrying(&Query::parse(query).unwrap()).map_err(|status| status.code);
        assert_eq!(carrying(""), Ok(table));
        assert_eq!(carrying("includeObject=Object"), Ok(Accept::Table("v1", RowObject::Whole)));
        assert_eq!(carrying("includeObject=All"), Err(400));
        let query = Query::parse("includeObject=All").unwrap();
        assert_eq!(Accept::Json.carrying(&query), Ok(Accept::Json));
    }

    #[test]
    fn protobuf_is_for_those_who_have_it_and_not_for_tables() {
        assert_eq!(
            of("application/vnd.kubernetes.protobuf,application/json"),
            Ok((Accept::Json, Form::Protobuf))
        );
        let table = "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json";
        assert_eq!(of(table), Ok((Accept::Json, Form::Json)));
        let without = api::kinds::all().find(|kind| !form::has_protobuf(kind));
        let without = Offer { kind: Some(without.unwrap()), watch: false };
        assert_eq!(
            offered(PROTOBUF, without).unwrap_err().message,
            "only the following media types are accepted: application/json, application/yaml"
        );
    }

    #[test]
    fn a_review_is_no_table() {
        let kind = api::kinds::all().find(|kind| kind.kind == "SelfSubjectAccessReview");
        let reviews = Offer { kind: Some(kind.unwrap()), watch: false };
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        assert_eq!(offered(table, reviews).unwrap_err().code, 406);
        let either = format!("{table},application/json");
        assert_eq!(offered(&either, reviews), Ok((Accept::Json, Form::Json)));
    }

    #[test]
    fn discovery_comes_whole_to_those_who_want_that_first() {
        let wants = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            Accept::wants_all_groups(&headers)
        };
        let whole = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        assert!(wants(&format!("{beta},{whole},application/json")));
        assert!(!wants(&format!("application/json,{whole}")));
        assert!(!wants(beta) && !wants("application/json"));
    }

    #[test]
    fn a_stream_has_no_yaml() {
        let refused = offered("application/yaml", Offer { kind: None, watch: true }).unwrap_err();
        assert_eq!(
            refused.message,
            "only the following media types are accepted: application/json;stream=watch, \
             application/vnd.kubernetes.protobuf;stream=watch"
        );
    }
}
