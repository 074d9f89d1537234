//! The lab page as files.
//!
//! * [`serve`]: a small web server on the loopback address;
//! * [`files`]: the page's own files, in a folder or inside this program;
//! * [`list`]: its list of models, and models put beside it;
//! * [`publish`] (feature `publish`): a static folder with models, ready for any web server.

pub mod files;
pub mod list;
#[cfg(feature = "publish")]
pub mod publish;
pub mod serve;
