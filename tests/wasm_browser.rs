//! The browser's stores against the standard library's, in a dedicated worker of a real browser:
//! `cargo xtask test` runs this headless.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::browser::opfs::OpfsFile;
use dikas_archive::browser::pages::{BLOCK, Blocks, Paged};
use dikas_archive::browser::rope::{BlobRope, BlobSource};
use dikas_archive::codec::{self, Decoder};
use dikas_archive::error::{Error, ErrorKind};
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{
    DedicatedWorkerGlobalScope, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetFileOptions,
    FileSystemSyncAccessHandle,
};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// A fresh file in the browser's file system.
async fn opfs_file(name: &str) -> (FileSystemDirectoryHandle, OpfsFile) {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    let root = JsFuture::from(scope.navigator().storage().get_directory()).await.unwrap();
    let root: FileSystemDirectoryHandle = root.unchecked_into();
    let options = FileSystemGetFileOptions::new();
    options.set_create(true);
    let file = JsFuture::from(root.get_file_handle_with_options(name, &options)).await.unwrap();
    let file: FileSystemFileHandle = file.unchecked_into();
    let handle = JsFuture::from(file.create_sync_access_handle()).await.unwrap();
    let handle: FileSystemSyncAccessHandle = handle.unchecked_into();
    handle.truncate_with_f64(0.0).unwrap();
    (root, OpfsFile::new(handle).unwrap())
}

/// The generator of splitmix64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// Does the same to both files, at random, and compares all that they say.
fn compare(file: &mut Paged<impl Blocks>, seed: u64) {
    const END: u64 = 9 * BLOCK;
    let mut numbers = Numbers(seed);
    let mut model = Cursor::new(Vec::new());
    for _ in 0..400 {
        match numbers.below(10) {
            0..5 => {
                let greatest = [8, 100, 5_000, 2 * BLOCK][numbers.below(4) as usize];
                // A cursor is no model for an empty write: it grows up to its position, which no file does.
                let count = 1 + numbers.below(greatest);
                let bytes = numbers.bytes(count);
                model.write_all(&bytes).unwrap();
                file.write_all(&bytes).unwrap();
            }
            5 | 6 => {
                let to = match numbers.below(3) {
                    0 => SeekFrom::Start(numbers.below(END)),
                    1 => SeekFrom::End(-(numbers.below(model.get_ref().len() as u64 + 1) as i64)),
                    _ => SeekFrom::Current(numbers.below(BLOCK) as i64),
                };
                assert_eq!(file.seek(to).unwrap(), model.seek(to).unwrap());
            }
            7 => {
                let mut expected = vec![0; numbers.below(3 * BLOCK) as usize];
                let mut found = expected.clone();
                let count = model.read(&mut expected).unwrap();
                let mut done = 0;
                while done < count {
                    let read = file.read(&mut found[done..count]).unwrap();
                    assert_ne!(read, 0);
                    done += read;
                }
                assert!(found == expected, "the files differ");
            }
            8 => {
                let size = numbers.below(model.get_ref().len() as u64 + 1);
                model.get_mut().truncate(size as usize);
                file.truncate(size).unwrap();
            }
            _ => file.flush().unwrap(),
        }
        if model.position() > END {
            assert_eq!(file.seek(SeekFrom::Start(7)).unwrap(), model.seek(SeekFrom::Start(7)).unwrap());
        }
        assert_eq!(file.size(), model.get_ref().len() as u64);
    }
    let mut found = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut found).unwrap();
    assert!(&found == model.get_ref(), "the files differ in the end");
    assert!(found.len() as u64 > BLOCK, "a test of one block shows little");
}

#[wasm_bindgen_test]
async fn a_file_of_the_browser_is_a_file() {
    for seed in 0..3 {
        let (root, file) = opfs_file("opfs-test").await;
        let mut file = Paged::new(file);
        compare(&mut file, seed);

        // What another handle finds is what was written, and the first handle shuts the second out until it closes.
        let size = file.size();
        let mut expected = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut expected).unwrap();
        let blocks = file.into_blocks().unwrap();
        let handle: FileSystemFileHandle =
            JsFuture::from(root.get_file_handle("opfs-test")).await.unwrap().unchecked_into();
        assert!(JsFuture::from(handle.create_sync_access_handle()).await.is_err());
        assert!(
            JsFuture::from(root.remove_entry("opfs-test")).await.is_err(),
            "a file in use cannot be removed"
        );
        drop(blocks);
        let stored: web_sys::File = JsFuture::from(handle.get_file()).await.unwrap().unchecked_into();
        assert_eq!(stored.size(), size as f64);
        let mut found = Vec::new();
        Paged::new(BlobSource::new(stored.into()).unwrap()).read_to_end(&mut found).unwrap();
        assert!(found == expected);
        JsFuture::from(root.remove_entry("opfs-test")).await.unwrap();
    }
}

#[wasm_bindgen_test]
fn a_chain_of_blobs_is_a_file() {
    for seed in 10..13 {
        let mut file = Paged::new(BlobRope::default());
        compare(&mut file, seed);
        let mut expected = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut expected).unwrap();
        let whole = file.into_blocks().unwrap().into_file("archive.zip", "application/zip").unwrap();
        assert_eq!((whole.name().as_str(), whole.size()), ("archive.zip", expected.len() as f64));
        let mut found = Vec::new();
        Paged::new(BlobSource::new(whole.into()).unwrap()).read_to_end(&mut found).unwrap();
        assert!(found == expected);
    }
}

#[wasm_bindgen_test]
fn a_full_chain_says_so_and_keeps_what_it_has() {
    let mut file = Paged::new(BlobRope::with_limit(2 * BLOCK + 5));
    let written = file.write_all(&vec![7; 8 * BLOCK as usize]).and_then(|()| file.flush()).unwrap_err();
    let error = Error::from(written);
    assert_eq!(error.kind, ErrorKind::NoStorage);
    assert_eq!(error.expected.as_deref(), Some("at most 2097157 bytes"));

    let mut file = Paged::new(BlobRope::with_limit(2 * BLOCK + 5));
    file.write_all(&vec![7; 2 * BLOCK as usize + 5]).unwrap();
    file.flush().unwrap();
}

#[wasm_bindgen_test]
fn a_blob_that_is_only_read_refuses_to_be_written() {
    let blob = web_sys::Blob::new_with_str_sequence(&js_sys::Array::of1(&"hello".into())).unwrap();
    let mut file = Paged::new(BlobSource::new(blob).unwrap());
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    file.write_all(b"!").unwrap();
    assert!(file.flush().is_err());
}

#[wasm_bindgen_test]
fn the_codec_works_here_too() {
    let mut numbers = Numbers(99);
    for count in [0, 1, 1000, 300_000] {
        let lines: Vec<u8> = (0..count)
            .flat_map(|n| format!("{{\"_id\":\"{n}\",\"x\":{}}}\n", numbers.below(1000)).into_bytes())
            .collect();
        let part = codec::encode(&lines).unwrap();
        let mut found = Vec::new();
        Decoder::new(part.bytes.as_slice()).read_to_end(&mut found).unwrap();
        assert!(found == lines && !part.stored_plain);
    }
}
