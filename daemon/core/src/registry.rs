//! What a registry's answer means.
