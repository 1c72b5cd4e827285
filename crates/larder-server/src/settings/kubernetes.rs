//! The variables that Kubernetes sets in every container of a namespace, for each of its services: they are no settings.

/// Whether Kubernetes has set this variable. For a service that is called `redis` it sets `REDIS_SERVICE_HOST`,
/// `REDIS_SERVICE_PORT`, `REDIS_PORT=tcp://10.0.0.5:6379`, `REDIS_PORT_6379_TCP_ADDR` and others.
pub(super) fn is_of_kubernetes(name: &str, value: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let ends_as_service = name.ends_with("_SERVICE_HOST")
        || name
            .rsplit_once("_SERVICE_PORT")
            .is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('_'));
    ends_as_service || (is_address && name.ends_with("_PORT")) || is_of_port(name)
}

/// Whether the name is that of one port: `…_PORT_6379_TCP`, with `_PROTO`, `_PORT` or `_ADDR` behind it or without.
fn is_of_port(name: &str) -> bool {
    let name = ["_PROTO", "_PORT", "_ADDR"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let port = ["_TCP", "_UDP", "_SCTP"].iter().find_map(|end| name.strip_suffix(end));
    let number = port.and_then(|name| name.rsplit_once("_PORT_"));
    number.is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_sets_for_a_service_is_recognised_and_no_setting_is() {
        for (name, value) in [
            ("REDIS_PORT", "tcp://10.0.0.5:6379"),
            ("REDIS_SERVICE_HOST", "10.0.0.5"),
            ("REDIS_SERVICE_PORT", "6379"),
            ("REDIS_SERVICE_PORT_CLIENTS", "6379"),
            ("REDIS_PORT_6379_TCP", "tcp://10.0.0.5:6379"),
            ("REDIS_PORT_6379_TCP_PROTO", "tcp"),
            ("REDIS_PORT_6379_TCP_PORT", "6379"),
            ("REDIS_PORT_6379_TCP_ADDR", "10.0.0.5"),
            ("LARDER_API_PORT", "tcp://10.0.0.6:80"),
            ("LARDER_API_PORT_53_UDP", "udp://10.0.0.6:53"),
        ] {
            assert!(is_of_kubernetes(name, value), "{name}");
        }
        for (name, value) in [
            ("REDIS_PORT", "6379"),
            ("REDIS_HOST", "tcp://10.0.0.5:6379"),
            ("LARDER_PORT", "8080"),
            ("LARDER_PORT_ONE_TCP", "1"),
            ("LARDER_SERVICE_PORTS", "1"),
        ] {
            assert!(!is_of_kubernetes(name, value), "{name}");
        }
    }
}
