// SPDX-License-Identifier: GPL-3.0-or-later
//! Images of the library.

use hv_model::{id::ImageId, image::Image, name::ImageName};
use rusqlite::{OptionalExtension, params};

use super::{
    ReadTransaction, Result, WriteTransaction,
    transaction::{from_json, to_json},
};

impl ReadTransaction<'_> {
    /// Every image, by name.
    pub fn images(&self) -> Result<Vec<Image>> {
        let mut statement = self
            .sql
            .prepare_cached("SELECT image_json FROM image WHERE host = ?1 ORDER BY name")?;
        let rows = statement.query_map([self.host_text()], |row| row.get::<_, String>(0))?;
        rows.map(|row| from_json("image", &row?)).collect()
    }

    /// The image with this id.
    pub fn image(&self, id: ImageId) -> Result<Option<Image>> {
        self.one_image(
            "SELECT image_json FROM image WHERE host = ?1 AND id = ?2",
            &id.to_string(),
        )
    }

    /// The image with this name.
    pub fn image_named(&self, name: &ImageName) -> Result<Option<Image>> {
        self.one_image(
            "SELECT image_json FROM image WHERE host = ?1 AND name = ?2",
            name.as_str(),
        )
    }

    fn one_image(&self, sql: &str, key: &str) -> Result<Option<Image>> {
        let found: Option<String> = self
            .sql
            .prepare_cached(sql)?
            .query_row([&self.host_text(), key], |row| row.get(0))
            .optional()?;
        found.map(|text| from_json("image", &text)).transpose()
    }
}

impl WriteTransaction<'_> {
    /// Keeps an image.
    pub fn put_image(&self, image: &Image) -> Result<()> {
        self.sql
            .prepare_cached(
                "INSERT INTO image (host, id, name, image_json) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET image_json = excluded.image_json",
            )?
            .execute(params![
                self.host_text(),
                image.id.to_string(),
                image.name.as_str(),
                to_json("image", image)?,
            ])?;
        Ok(())
    }

    /// Forgets an image, if it is known.
    pub fn remove_image(&self, id: ImageId) -> Result<()> {
        self.sql
            .prepare_cached("DELETE FROM image WHERE host = ?1 AND id = ?2")?
            .execute([self.host_text(), id.to_string()])?;
        Ok(())
    }
}
