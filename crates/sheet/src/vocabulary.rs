//! The names by which the exports of shops call their columns.
//!
//! A name is compared in its normal form: letters and digits in lower case and without accents, remarks in brackets left
//! out. Product names and serial numbers are listed whole. A column of images is known by its words: one of [`IMAGES`],
//! with nothing beside it but numbers and words of [`BESIDE`], in any order and with or without spaces. So `Bild-URL 2`,
//! `Product Image File - 1` and `additional_image_link` are known, and `Image Alt Text` is not.

/// Words for an image, in English, German, French, Spanish, Italian, Portuguese and Dutch.
const IMAGES: &[&str] = &[
    // English
    "image",
    "images",
    "img",
    "imgs",
    "picture",
    "pictures",
    "pic",
    "pics",
    "photo",
    "photos",
    "photograph",
    "photographs",
    "thumbnail",
    "thumbnails",
    "thumb",
    "gallery",
    // German
    "bild",
    "bilder",
    "foto",
    "fotos",
    "abbildung",
    "abbildungen",
    "vorschaubild",
    "galerie",
    // French
    "visuel",
    "visuels",
    "vignette",
    "illustration",
    "illustrations",
    // Spanish, Portuguese
    "imagen",
    "imagenes",
    "imagem",
    "imagens",
    "miniatura",
    "galeria",
    // Italian
    "immagine",
    "immagini",
    "galleria",
    // Dutch
    "afbeelding",
    "afbeeldingen",
    "plaatje",
    "plaatjes",
    // Polish
    "zdjecie",
    "zdjecia",
];

/// Words that may stand beside one of [`IMAGES`] in the name of a column.
const BESIDE: &[&str] = &[
    // What it is an address of, or by what it is found.
    "url",
    "urls",
    "uri",
    "link",
    "links",
    "src",
    "href",
    "file",
    "files",
    "path",
    "paths",
    "address",
    "addresses",
    "web",
    "http",
    "https",
    "adresse",
    "adressen",
    "pfad",
    "datei",
    "lien",
    "liens",
    "enlace",
    "enlaces",
    "indirizzo",
    "indirizzi",
    "collegamento",
    "endereco",
    "enderecos",
    "adres",
    "webadres",
    "bestand",
    // Of what it is an image.
    "product",
    "products",
    "item",
    "items",
    "article",
    "variant",
    "variants",
    "variation",
    "parent",
    "child",
    "sku",
    "listing",
    "offer",
    "produkt",
    "produkte",
    "artikel",
    "variante",
    "varianten",
    "produit",
    "produits",
    "producto",
    "productos",
    "articulo",
    "prodotto",
    "prodotti",
    "articolo",
    "produto",
    "produtos",
    "artigo",
    "producten",
    // Which one it is.
    "main",
    "base",
    "small",
    "medium",
    "large",
    "big",
    "full",
    "size",
    "zoom",
    "hi",
    "high",
    "res",
    "additional",
    "other",
    "others",
    "extra",
    "more",
    "further",
    "all",
    "list",
    "featured",
    "feature",
    "primary",
    "secondary",
    "default",
    "cover",
    "front",
    "back",
    "side",
    "top",
    "bottom",
    "detail",
    "details",
    "lifestyle",
    "swatch",
    "hosted",
    "input",
    "source",
    "original",
    "external",
    "media",
    "shop",
    "store",
    "haupt",
    "weitere",
    "weiteres",
    "zusatz",
    "zusatzliche",
    "zusatzliches",
    "alle",
    "klein",
    "gross",
    "principal",
    "principale",
    "principales",
    "autre",
    "autres",
    "supplementaire",
    "supplementaires",
    "secondaire",
    "adicional",
    "adicionales",
    "otra",
    "otras",
    "secundaria",
    "aggiuntiva",
    "aggiuntive",
    "altre",
    "altra",
    "secondaria",
    "adicionais",
    "outras",
    "hoofd",
    "overige",
    "aanvullende",
    // What binds them.
    "de",
    "du",
    "des",
    "del",
    "della",
    "do",
    "da",
    "di",
    "la",
    "le",
    "l",
    "of",
    "the",
    "to",
    "zum",
    "zu",
    "van",
    "het",
    "no",
    "nr",
    "s",
];

/// Names of the serial number, the most telling first.
pub(super) const SERIAL_NUMBERS: &[&str] =
    &["sno", "serialnumber", "serialno", "srno", "slno", "lfdnr", "laufendenummer", "id", "#"];

/// Names of the product name, the most telling first. Those after `sku` are taken only if there is none of the others.
pub(super) const PRODUCT_NAMES: &[&str] = &[
    "productname",
    "product",
    "name",
    "producttitle",
    "itemname",
    "itemtitle",
    "articlename",
    "listingtitle",
    "title",
    "item",
    "produktname",
    "produktbezeichnung",
    "produkttitel",
    "artikelname",
    "artikelbezeichnung",
    "bezeichnung",
    "titel",
    "produkt",
    "artikel",
    "nomduproduit",
    "nomproduit",
    "nomdelarticle",
    "titreduproduit",
    "produit",
    "article",
    "nom",
    "titre",
    "libelle",
    "designation",
    "nombredelproducto",
    "nombredeproducto",
    "nombreproducto",
    "tituloproducto",
    "producto",
    "articulo",
    "nombre",
    "titulo",
    "nomeprodotto",
    "nomedelprodotto",
    "nomearticolo",
    "titoloprodotto",
    "prodotto",
    "articolo",
    "titolo",
    "nomedoproduto",
    "nomeproduto",
    "nomedeproduto",
    "produto",
    "artigo",
    "nome",
    "productnaam",
    "naamproduct",
    "artikelnaam",
    "naam",
    "nazwaproduktu",
    "tytuloferty",
    "nazwa",
    "tytul",
    // With the language of its text.
    "nameenus",
    "nameengb",
    "namedede",
    "namefrfr",
    "ustitleshort",
    "entitleshort",
    "detitleshort",
    "nltitleshort",
    "titleshort",
    "sku",
    "model",
    "modelname",
    "modell",
    "modele",
    "modelo",
    "modello",
    "shortdescription",
    "description",
    "beschreibung",
    "descripcion",
    "descrizione",
    "descricao",
    "omschrijving",
];

/// Those of [`PRODUCT_NAMES`] of which two in one header are worth a word.
pub(super) const COMPETING_NAMES: &[&str] = &["productname", "product", "name", "sku"];

/// What is used for a missing product name, with a warning, the most telling first.
pub(super) const NAME_SUBSTITUTES: &[&str] = &[
    "sku",
    "itemsku",
    "sellersku",
    "variantsku",
    "productsku",
    "productcodesku",
    "articlesku",
    "parentsku",
    "handle",
    "urlkey",
    "slug",
    "id",
    "productid",
    "itemid",
    "articleid",
    "offerid",
    "productcode",
    "itemcode",
    "articlenumber",
    "artikelnummer",
    "artikelnr",
    "articleno",
    "itemnumber",
    "itemno",
    "code",
    "reference",
    "referencia",
    "riferimento",
    "mpn",
    "asin",
    "ean",
    "gtin",
    "upc",
    "barcode",
    "serialnumber",
    "sno",
];

/// Columns whose value the rows of one product share.
pub(super) const GROUPS: &[&str] = &["handle", "urlhandle", "producthandle", "handleid"];

/// Words that begin a line of totals.
const TOTALS: &[&str] = &[
    "total",
    "totals",
    "subtotal",
    "grandtotal",
    "sum",
    "summe",
    "gesamt",
    "gesamtsumme",
    "somme",
    "totale",
    "suma",
    "totaal",
    "totais",
    "totales",
    "totaux",
];

/// Words that tell a line of rules or units below the header from a product.
const RULES: &[&str] = &[
    "required",
    "optional",
    "mandatory",
    "recommended",
    "conditional",
    "preferred",
    "string",
    "text",
    "integer",
    "number",
    "numeric",
    "separated",
    "characters",
    "char",
    "pflichtfeld",
    "pflicht",
    "erforderlich",
    "kommagetrennt",
    "zeichen",
    "obligatoire",
    "facultatif",
    "optionnel",
    "obligatorio",
    "opcional",
    "obbligatorio",
    "facoltativo",
    "obrigatorio",
    "verplicht",
    "optioneel",
];

/// Letters and digits in lower case and without accents, remarks in brackets left out; `#` if there is nothing but that.
pub(super) fn normal(name: &str) -> String {
    let letters = letters(&without_remarks(name));
    let letters = if letters.is_empty() { self::letters(name) } else { letters };
    if letters.is_empty() && name.contains('#') { "#".to_owned() } else { letters }
}

fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).map(plain).collect()
}

fn without_remarks(name: &str) -> String {
    let mut depth = 0usize;
    name.chars()
        .filter(|c| {
            depth += usize::from(matches!(c, '(' | '['));
            let is_inside = depth > 0;
            depth -= usize::from(is_inside && matches!(c, ')' | ']'));
            !is_inside
        })
        .collect()
}

/// A letter without its accent.
fn plain(c: char) -> char {
    match c {
        'à'..='å' | 'ą' => 'a',
        'ç' | 'ć' => 'c',
        'è'..='ë' | 'ę' => 'e',
        'ì'..='ï' => 'i',
        'ł' => 'l',
        'ñ' | 'ń' => 'n',
        'ò'..='ö' => 'o',
        'ù'..='ü' => 'u',
        'ß' | 'ś' => 's',
        'ź' | 'ż' => 'z',
        _ => c,
    }
}

/// Whether a name in normal form is one of a column of images.
pub(super) fn names_images(normal: &str) -> bool {
    // Reached with and without a word for an image: at the beginning, without.
    const MAX_NAME_BYTES: usize = 80;
    let bytes = normal.as_bytes();
    if bytes.len() > MAX_NAME_BYTES {
        return false;
    }
    let mut reached = vec![[false; 2]; bytes.len() + 1];
    reached[0][0] = true;
    for at in 0..bytes.len() {
        for with_image in 0..2 {
            if !reached[at][with_image] {
                continue;
            }
            if bytes[at].is_ascii_digit() {
                reached[at + 1][with_image] = true;
            }
            for (words, is_image) in [(IMAGES, true), (BESIDE, false)] {
                for word in words.iter().filter(|word| bytes[at..].starts_with(word.as_bytes())) {
                    reached[at + word.len()][usize::from(is_image || with_image == 1)] = true;
                }
            }
        }
    }
    reached[bytes.len()][1]
}

/// Whether a column has links by its name: to pages, not to images.
pub(super) fn names_pages(name: &str) -> bool {
    let name = normal(name);
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    says(&["url", "link", "href", "page", "site", "video", "lien", "enlace"])
        && !says(&["image", "img", "photo", "pic", "bild", "foto", "imag", "immag", "afbeelding", "visuel", "media"])
}

/// Whether a name may be meant as a product name.
pub(super) fn resembles_product_name(normal: &str) -> bool {
    ["name", "title", "titel", "titre", "product", "produ", "artikel", "item"].iter().any(|word| normal.contains(word))
}

/// Whether a name may be meant as one of images.
pub(super) fn resembles_images(normal: &str) -> bool {
    let words = ["image", "img", "photo", "foto", "pic", "bild", "imag", "immag", "afbeelding", "visuel", "media"];
    words.iter().any(|word| normal.contains(word))
}

/// Whether a cell says that its line has totals.
pub(super) fn is_total(cell: &str) -> bool {
    // Long texts need no copy to tell that they are not one word.
    cell.len() <= 40 && TOTALS.contains(&normal(cell).as_str())
}

/// Whether a cell says what may stand below it.
pub(super) fn is_rule(cell: &str) -> bool {
    cell.len() <= 200 && cell.split(|c: char| !c.is_alphanumeric()).any(|word| RULES.contains(&letters(word).as_str()))
}
