//! The page is embedded in release builds: a change to it is a change to the server.

fn main() {
    println!("cargo:rerun-if-changed=../www");
}
