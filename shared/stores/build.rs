//! The migrations are part of the library: a new file among them builds it anew.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
