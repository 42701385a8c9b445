//! The reference page of metrics, from the table.

use super::BUCKETS_NS;
use super::table::METRICS;
use crate::settings::docs::generated_note;
use std::fmt::Write;

/// The page.
#[must_use]
pub fn page() -> String {
    let bounds: Vec<String> =
        BUCKETS_NS.iter().map(|bound_ns| format!("{}", *bound_ns as f64 / 1e9)).collect();
    let mut out = format!(
        "# Metrics\n\n{}\n\nRead at `http://127.0.0.1:9644/metrics` (setting `admin.address`) in \
         Prometheus's text format. Names and units are stable. The lane's numbers are at most a \
         second old. Histograms have the upper bounds {} seconds.\n\n\
         | name | type | labels | meaning |\n| --- | --- | --- | --- |\n",
        generated_note(),
        bounds.join(", ")
    );
    for metric in METRICS {
        let labels =
            if metric.labels.is_empty() { "–".to_owned() } else { metric.labels.join(", ") };
        let _ = writeln!(
            out,
            "| `{}` | {} | {labels} | {} |",
            metric.name,
            metric.kind.text(),
            metric.help
        );
    }
    out.push_str(
        "\n## Health\n\n| path | 200 | 503 |\n| --- | --- | --- |\n\
         | `/healthz` | the process lives and the lane turns (or the node still starts) | the lane \
         has not turned for 2 s, or its device failed |\n\
         | `/readyz` | clients are served | the node starts or stops, or is not healthy; the reason \
         is the text |\n\
         | `/status` | JSON: node, cluster, version, shards, write-ahead log, connections | – |\n",
    );
    out
}
