//! HTTP: what machines fetch, what agents and nodes call, what the operator calls.
