//! autoscaling: horizontal pod autoscalers. v2 is stored; v1 is a view of it.

use super::entry::{GroupVersion, names};
use super::{Conversion, Kind};

pub(super) mod carried;
mod rules;
mod scaler;
mod v1_view;

const V1: GroupVersion = GroupVersion::new("autoscaling", "v1");
const V2: GroupVersion = GroupVersion::new("autoscaling", "v2");

pub(super) static KINDS: &[Kind] = &[
    Kind {
        short_names: &["hpa"],
        categories: &["all"],
        subresources: &[V2.status("HorizontalPodAutoscaler")],
        strategy: scaler::STRATEGY,
        table: &scaler::TABLE,
        ..V2.namespaced(names!(
            "io.k8s.api.autoscaling.v2",
            HorizontalPodAutoscaler,
            "horizontalpodautoscalers"
        ))
    },
    Kind {
        short_names: &["hpa"],
        categories: &["all"],
        subresources: &[V1.status("HorizontalPodAutoscaler")],
        conversion: Some(Conversion {
            hub: ("autoscaling", "v2", "horizontalpodautoscalers"),
            to_hub: v1_view::to_v2,
            from_hub: v1_view::from_v2,
            later: v1_view::LATER,
        }),
        ..V1.namespaced(names!(
            "io.k8s.api.autoscaling.v1",
            HorizontalPodAutoscaler,
            "horizontalpodautoscalers"
        ))
    },
];
