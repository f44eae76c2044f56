//! What further shops and catalogues export: the names of their columns, and where they put several images.

use std::io::Cursor;
use std::ops::ControlFlow;

use halftone_sheet::{ColumnRole, Hints, IssueCode, Limits, Report, Row, Severity, read_file};

fn read(file: &str) -> (Vec<Row>, Report) {
    let mut rows = Vec::new();
    let report = read_file(Cursor::new(file), &Limits::default(), &Hints::default(), |row| {
        rows.push(row);
        ControlFlow::Continue(())
    });
    (rows, report.expect("memory has no errors"))
}

struct Export {
    what: &'static str,
    file: &'static str,
    /// Name and number of images of each row.
    rows: &'static [(&'static str, usize)],
    image_columns: &'static [&'static str],
    warnings: &'static [IssueCode],
}

const EXPORTS: &[Export] = &[
    Export {
        what: "Shopware 6",
        file: "id;product_number;active;name;cover_media_url;cover_media_title;media\n\
               0a1;SW1;1;Mug;https://shop.example/media/a/1.jpg;front;https://shop.example/media/a/2.jpg|https://shop.example/media/a/3.jpg\n\
               0a2;SW2;1;Jug;https://shop.example/media/b/1.png;;\n",
        rows: &[("Mug", 3), ("Jug", 1)],
        image_columns: &["cover_media_url", "media"],
        warnings: &[IssueCode::GuessedColumn, IssueCode::GuessedColumn],
    },
    Export {
        what: "Shopware 5",
        file: "ordernumber;mainnumber;name;imageUrl;main\nSW1;SW1;Mug;https://shop.example/1.jpg;1\n",
        rows: &[("Mug", 1)],
        image_columns: &["imageUrl"],
        warnings: &[],
    },
    Export {
        what: "Wix",
        file: "handleId,fieldType,name,description,productImageUrl,sku\n\
               p1,Product,Mug,<p>Clay</p>,https://static.wix.example/a~mv2.jpg;https://static.wix.example/b~mv2.jpg,M\n\
               p1,Variant,,,,M-B\n",
        rows: &[("Mug", 2)],
        image_columns: &["productImageUrl"],
        warnings: &[IssueCode::AmbiguousColumn, IssueCode::SkippedLine],
    },
    Export {
        what: "Squarespace",
        file: "Product ID [Non Editable],Variant ID [Non Editable],Product Type [Non Editable],Product Page,Product URL,Title,SKU,Hosted Image URLs\n\
               5f1,9a,PHYSICAL,shop,mug,Mug,SQ1,https://images.sq.example/1.jpg https://images.sq.example/2.jpg\n",
        rows: &[("Mug", 2)],
        image_columns: &["Hosted Image URLs"],
        warnings: &[],
    },
    Export {
        what: "Ecwid",
        file: "type;product_internal_id;product_sku;product_name;product_media_main_image_url;product_media_main_image_alt;product_media_gallery_image_url_1;product_media_gallery_image_url_2\n\
               product;1;E1;Mug;https://ecwid.example/1.jpg;front;https://ecwid.example/2.jpg;https://ecwid.example/3.jpg\n",
        rows: &[("Mug", 3)],
        image_columns: &[
            "product_media_main_image_url",
            "product_media_gallery_image_url_1",
            "product_media_gallery_image_url_2",
        ],
        warnings: &[],
    },
    Export {
        what: "Lightspeed",
        file: "Internal_ID;Visible;Brand;US_Title_Short;US_Title_Long;Price;SKU;Images\n\
               77;Y;Kiln;Mug;Mug of clay;9;L1;https://cdn.ls.example/1.jpg,https://cdn.ls.example/2.jpg\n",
        rows: &[("Mug", 2)],
        image_columns: &["Images"],
        warnings: &[],
    },
    Export {
        what: "Kaufland",
        file: "ean;locale;category;title;description;manufacturer;picture_1;picture_2\n\
               3046300001085;de-DE;Tassen;Becher;Aus Ton;Kiln;https://k.example/1.jpg;https://k.example/2.jpg\n",
        rows: &[("Becher", 2)],
        image_columns: &["picture_1", "picture_2"],
        warnings: &[],
    },
    Export {
        what: "Bol.com",
        file: "EAN;Titel;Prijs;Hoofdafbeelding;Extra afbeelding 1;Extra afbeelding 2\n\
               3046300001085;Mok;9,00;https://b.example/1.jpg;https://b.example/2.jpg;\n",
        rows: &[("Mok", 2)],
        image_columns: &["Hoofdafbeelding", "Extra afbeelding 1", "Extra afbeelding 2"],
        warnings: &[],
    },
    Export {
        what: "Allegro",
        file: "ID oferty;Tytuł oferty;Cena;Zdjęcia\n1;Kubek;9,00;https://a.example/1.jpg|https://a.example/2.jpg\n",
        rows: &[("Kubek", 2)],
        image_columns: &["Zdjęcia"],
        warnings: &[],
    },
    Export {
        what: "Akeneo",
        file: "sku;categories;enabled;family;name-en_US;name-de_DE;image;variation_image\n\
               A1;mugs;1;cups;Mug;Becher;https://pim.example/1.jpg;https://pim.example/2.jpg\n",
        rows: &[("Mug", 2)],
        image_columns: &["image", "variation_image"],
        warnings: &[],
    },
    Export {
        what: "Plytix",
        file: "SKU,Label,Status,Thumbnail,Image Gallery\n\
               P1,Mug,Done,https://p.example/1.jpg,\"https://p.example/2.jpg,https://p.example/3.jpg\"\n",
        rows: &[("P1", 3)],
        image_columns: &["Thumbnail", "Image Gallery"],
        warnings: &[],
    },
    Export {
        what: "Airtable",
        file: "Name,Notes,Attachments\n\
               Mug,clay,\"front.jpg (https://v5.air.example/x/1),back.jpg (https://v5.air.example/cdn/2.jpg)\"\n",
        rows: &[("Mug", 2)],
        image_columns: &["Attachments"],
        warnings: &[IssueCode::GuessedColumn, IssueCode::RepairedUrl],
    },
];

#[test]
fn further_exports_give_their_rows_and_images() {
    let mut failures = String::new();
    for Export { what, file, rows, image_columns, warnings } in EXPORTS {
        let (found, report) = read(file);
        let read: Vec<(&str, usize)> =
            found.iter().map(|row| (row.name.as_str(), row.urls.iter().filter(|url| url.accepted).count())).collect();
        let columns = report.columns.iter().filter(|column| column.role == ColumnRole::ImageUrls);
        let columns: Vec<&str> = columns.map(|column| column.header.as_str()).collect();
        let said: Vec<IssueCode> = report.issues.iter().map(|issue| issue.code).collect();
        let has_errors = report.issues.iter().any(|issue| issue.severity == Severity::Error);
        if read != *rows || columns != *image_columns || said != *warnings || has_errors {
            failures += &format!("{what}: {read:?} {columns:?} {:#?}\n", report.issues);
        }
    }
    assert!(failures.is_empty(), "{failures}");
}
