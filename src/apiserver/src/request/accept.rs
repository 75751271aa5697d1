//! The form in which a client wants its answer.

use api::status::Status;
use http::{HeaderMap, header};

use super::Query;
use crate::form::{Form, PROTOBUF};

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

const OFFERED: [&str; 2] = ["application/json", PROTOBUF];

impl Accept {
    /// The first of the client's wishes that can be met; JSON for one who wishes nothing. Whether there is protobuf is asked
    /// where a client wants some.
    pub(crate) fn of(headers: &HeaderMap, protobuf: impl Fn() -> bool) -> Result<(Self, Form), Status> {
        let mut wished = false;
        for value in headers.get_all(header::ACCEPT) {
            for range in
                value.to_str().unwrap_or_default().split(',').filter(|range| !range.trim().is_empty())
            {
                wished = true;
                if let Some(met) = Self::met(range, &protobuf) {
                    return Ok(met);
                }
            }
        }
        if !wished {
            return Ok((Self::Json, Form::Json));
        }
        Err(Status::not_acceptable(if protobuf() { &OFFERED } else { &OFFERED[..1] }))
    }

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

    fn met(range: &str, protobuf: impl Fn() -> bool) -> Option<(Self, Form)> {
        let mut parts = range.split(';').map(str::trim);
        let form = match parts.next()? {
            "application/json" | "application/*" | "*/*" => Form::Json,
            PROTOBUF if protobuf() => Form::Protobuf,
            _ => return None,
        };
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter = |name| parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let accept = match (parameter("as"), parameter("g"), parameter("v")) {
            (None, _, _) => Self::Json,
            // There are no tables in protobuf.
            (Some("Table"), _, _) if form == Form::Protobuf => return None,
            (Some("Table"), Some("meta.k8s.io"), Some("v1")) => Self::Table("v1", RowObject::Metadata),
            (Some("Table"), Some("meta.k8s.io"), Some("v1beta1")) => {
                Self::Table("v1beta1", RowObject::Metadata)
            }
            (Some("PartialObjectMetadata"), Some("meta.k8s.io"), Some("v1")) => Self::Partial,
            (Some("PartialObjectMetadataList"), Some("meta.k8s.io"), Some("v1")) => Self::PartialList,
            _ => return None,
        };
        Some((accept, form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str) -> Result<(Accept, Form), u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Accept::of(&headers, || true).map_err(|status| status.code)
    }

    #[test]
    fn the_first_wish_that_can_be_met_counts() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(of(kubectl), Ok((Accept::Table("v1", RowObject::Metadata), Form::Json)));
        let unknown = "application/json;as=Table;v=v9;g=meta.k8s.io, application/json";
        assert_eq!(of(unknown), Ok((Accept::Json, Form::Json)));
        let partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        assert_eq!(of(partial), Ok((Accept::Partial, Form::Json)));
        assert_eq!(of("text/html,*/*;q=0.8"), Ok((Accept::Json, Form::Json)));
        assert_eq!(of("text/html"), Err(406));
        assert_eq!(Accept::of(&HeaderMap::new(), || true), Ok((Accept::Json, Form::Json)));
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
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, PROTOBUF.parse().unwrap());
        assert_eq!(Accept::of(&headers, || false).unwrap_err().code, 406);
    }
}
