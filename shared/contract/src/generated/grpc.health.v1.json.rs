// @generated from proto/ by `cargo test --workspace --test contract`.
impl crate::json::Schema for HealthCheckRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "service", json_name: "service", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for HealthCheckResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "status", json_name: "status", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| health_check_response::ServingStatus::from_str_name(name).map(i32::from)) },
    ];
}
