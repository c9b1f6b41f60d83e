//! Frames: a little-endian u32 length, then a postcard message (exact f64 bits, NaN included).

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

/// No frame is longer; a longer length means that the stream is not ours.
pub const FRAME_BYTES_MAX: usize = 256 << 20;

/// Why a frame could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The pipe failed.
    #[error("the pipe between lab and worker failed")]
    Pipe(#[source] io::Error),
    /// The stream ended inside a frame.
    #[error("the stream ended inside a message")]
    Truncated,
    /// The length is absurd.
    #[error("a message of {bytes} bytes was announced, more than the {FRAME_BYTES_MAX} allowed")]
    TooLong {
        /// The announced length.
        bytes: usize,
    },
    /// The bytes are not a message.
    #[error("a message could not be decoded")]
    Malformed(#[source] postcard::Error),
}

/// A message as bytes, without a frame around it.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    postcard::to_stdvec(message).map_err(FrameError::Malformed)
}

/// The message that [`encode`] made these bytes of.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    postcard::from_bytes(bytes).map_err(FrameError::Malformed)
}

/// Writes one message and flushes it.
pub fn write_frame<T: Serialize>(writer: &mut impl Write, message: &T) -> Result<(), FrameError> {
    let body = encode(message)?;
    if body.len() > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong { bytes: body.len() });
    }
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
    frame.extend_from_slice(&body);
    writer.write_all(&frame).and_then(|()| writer.flush()).map_err(FrameError::Pipe)
}

/// Reads one message; `None` when the stream ended between two.
pub fn read_frame<T: DeserializeOwned>(reader: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut length = [0_u8; 4];
    let mut filled = 0;
    while filled < length.len() {
        match reader.read(&mut length[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(FrameError::Truncated),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FrameError::Pipe(error)),
        }
    }
    let bytes = u32::from_le_bytes(length) as usize;
    if bytes > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong { bytes });
    }
    let mut body = vec![0; bytes];
    reader.read_exact(&mut body).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::Truncated,
        _ => FrameError::Pipe(error),
    })?;
    decode(&body).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FromWorker, MetricsBatch, Report};

    fn metrics(value: f64) -> FromWorker {
        let (keys, values) = (vec!["k".into()], vec![value]);
        FromWorker::Report(MetricsBatch { keys, runs: vec![1], steps: vec![2], values }.into())
    }

    #[test]
    fn what_goes_in_comes_out_bit_for_bit() {
        for value in [0.1 + 0.2, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE / 3.0] {
            let mut stream = Vec::new();
            write_frame(&mut stream, &metrics(value)).unwrap();
            let Some(FromWorker::Report(Report::Metrics(batch))) = read_frame(&mut stream.as_slice()).unwrap() else {
                panic!("another message")
            };
            assert_eq!(batch.values[0].to_bits(), value.to_bits());
        }
    }

    #[test]
    fn a_stream_cut_anywhere_is_an_error_or_a_clean_end() {
        let mut stream = Vec::new();
        write_frame(&mut stream, &metrics(1.5)).unwrap();
        assert!(read_frame::<FromWorker>(&mut &stream[..0]).unwrap().is_none());
        for cut in 1..stream.len() {
            let error = read_frame::<FromWorker>(&mut &stream[..cut]).unwrap_err();
            assert!(matches!(error, FrameError::Truncated), "cut at {cut}: {error}");
        }
    }

    #[test]
    fn an_absurd_length_is_refused_before_memory_is_taken() {
        let error = read_frame::<FromWorker>(&mut &u32::MAX.to_le_bytes()[..]).unwrap_err();
        assert!(matches!(error, FrameError::TooLong { .. }));
    }
}
