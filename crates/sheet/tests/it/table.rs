//! Tables of products, in every layout and dialect that shops export.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// What a table says, whatever it looks like.
#[derive(Debug, Clone)]
pub struct Product {
    pub name: String,
    /// Endings of its URLs. Each URL has a number of its own in front of it.
    pub tails: Vec<String>,
    pub note: String,
    pub link: bool,
}

/// How the URLs of a product are laid out in columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// All in one cell.
    List { column: &'static str },
    /// A cell each, in columns of one kind: `{}` is a number in the name.
    Columns { name: &'static str },
    /// The first one in one column, the others in another.
    Gallery { first: &'static str, others: &'static str },
    /// A row each; rows of a product share a handle.
    Handle,
    /// A row each; number and name stand in the first only.
    Merged,
    /// In the last column and, without quotes, in what follows it.
    Spilled,
}

/// What stands around a URL in its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapper {
    Bare,
    Hyperlink,
    Image,
    Markdown,
    Html,
    Angles,
    Json,
    EscapedJson,
    Python,
    Airtable,
    Label,
    Numbers,
    Entities,
    Quotes,
    /// Behind the name of an image file.
    Suffix,
    Remark,
    WithoutScheme,
    Www,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf8WithMark,
    Utf16Le,
    Utf16Be,
    Windows1252,
}

/// How a table is written as bytes.
#[derive(Debug, Clone)]
pub struct Dialect {
    pub delimiter: char,
    pub quotes_all: bool,
    pub space_behind_delimiter: bool,
    pub line_end: &'static str,
    pub last_line_end: bool,
    pub encoding: Encoding,
    pub declares_delimiter: bool,
    /// Every line is one quoted cell.
    pub is_wrapped: bool,
}

/// A file before it is written, and all there is to know of it.
#[derive(Debug, Clone)]
pub struct Catalogue {
    pub products: Vec<Product>,
    pub layout: Layout,
    pub wrapper: Wrapper,
    pub separator: &'static str,
    pub dialect: Dialect,
    /// In which order the columns stand.
    pub order: Vec<usize>,
    pub title_lines: usize,
    pub ruler: bool,
    pub total: bool,
    pub blank_line: Option<usize>,
}

const COLUMNS: usize = 3;

/// Endings that only a list without anything around it is safe for.
const BARE_TAILS: &[&str] = &["_(1).jpg", "[2].webp", "/men's-shoe.jpg", "/(x)", "/a*b!.png", "/é.jpg"];
const TAILS: &[&str] = &[
    "",
    ".jpg",
    ".png",
    "/",
    "?w=800&h=600",
    "?a=1;b=2",
    ";v=1/y.jpg",
    ",w_300,h_200/x.jpg",
    "?u=https://b.com/2.jpg",
    "/https://b.com/2.jpg",
    "/%C3%A9%20x.jpg",
    "+a~b^c.jpg",
    "#x",
    "/a:b/c@d.jpg?e=$f",
    ".jpg?v=1",
    ".JPEG",
    "|2/x.jpg",
];

fn products() -> impl Strategy<Value = Vec<Product>> {
    let tail = prop_oneof![
        4 => select(TAILS).prop_map(str::to_owned),
        1 => select(BARE_TAILS).prop_map(str::to_owned),
        1 => "[a-z0-9_,;&=%+]{0,8}[a-z0-9]",
    ];
    let name = "[A-Za-zé][A-Za-z0-9é \"',;|()&-]{0,12}".prop_map(|name| format!("p{}", name.trim_end()));
    let note = prop_oneof![2 => "[ -~é\r\n\t]{0,20}", 1 => Just(String::new()), 1 => "[=+@'-]{1,2}[A-Z0-9]{0,3}"];
    let product = (name, vec(tail, 0..4), note, any::<bool>());
    vec(product.prop_map(|(name, tails, note, link)| Product { name, tails, note, link }), 1..8)
}

fn layout() -> impl Strategy<Value = Layout> {
    prop_oneof![
        select(vec![
            "Images",
            "Image Src",
            "image_link",
            "Bilder",
            "Photos du produit",
            "Product\nImage",
            "Image URL (required)*"
        ])
        .prop_map(|column| Layout::List { column }),
        select(vec!["Image {}", "image_url_{}", "Product Image File - {}", "Bild-URL {}", "Other Image Url", "Image"])
            .prop_map(|name| Layout::Columns { name }),
        select(vec![
            ("base_image", "additional_images"),
            ("image_link", "additional_image_link"),
            ("Image", "Gallery")
        ])
        .prop_map(|(first, others)| Layout::Gallery { first, others }),
        Just(Layout::Handle),
        Just(Layout::Merged),
        Just(Layout::Spilled),
    ]
}

fn dialect() -> impl Strategy<Value = Dialect> {
    let encodings =
        vec![Encoding::Utf8, Encoding::Utf8WithMark, Encoding::Utf16Le, Encoding::Utf16Be, Encoding::Windows1252];
    (
        select(vec![',', ';', '\t', '|']),
        any::<bool>(),
        any::<bool>(),
        select(vec!["\n", "\r\n", "\r"]),
        any::<bool>(),
        select(encodings),
        any::<bool>(),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(delimiter, quotes_all, space, line_end, last_line_end, encoding, declares, is_wrapped)| {
            Dialect {
                delimiter,
                quotes_all,
                space_behind_delimiter: space,
                line_end,
                last_line_end,
                encoding,
                declares_delimiter: declares,
                is_wrapped,
            }
        })
}

fn wrapper() -> impl Strategy<Value = Wrapper> {
    use Wrapper::*;
    let others = [
        Hyperlink,
        Image,
        Markdown,
        Html,
        Angles,
        Json,
        EscapedJson,
        Python,
        Airtable,
        Label,
        Numbers,
        Entities,
        Quotes,
        Suffix,
        Remark,
        WithoutScheme,
        Www,
    ];
    prop_oneof![1 => Just(Bare), 2 => select(others.to_vec())]
}

pub fn catalogue() -> impl Strategy<Value = Catalogue> {
    let order = Just((0..COLUMNS).collect::<Vec<_>>()).prop_shuffle();
    let rest = (0usize..3, any::<bool>(), any::<bool>(), option::of(0usize..4));
    let separator = select(vec![", ", ",", "\n", " ", "; ", ";", " | ", "|", ", \n"]);
    (products(), layout(), wrapper(), separator, dialect(), order, rest).prop_map(
        |(mut products, layout, wrapper, separator, mut dialect, order, (title_lines, ruler, total, blank_line))| {
            let wrapper = if layout == Layout::Spilled { Wrapper::Bare } else { wrapper };
            let most = match (layout, wrapper) {
                (Layout::List { .. }, Wrapper::Hyperlink | Wrapper::Image) => 1,
                (Layout::Gallery { .. }, Wrapper::Hyperlink | Wrapper::Image) => 2,
                _ => usize::MAX,
            };
            for product in &mut products {
                product.tails.truncate(most);
                product.tails.retain(|tail| wrapper == Wrapper::Bare || !BARE_TAILS.contains(&tail.as_str()));
                // Commas without quotes are delimiters, unless what follows is surely part of a URL.
                product
                    .tails
                    .retain(|tail| layout != Layout::Spilled || !tail.contains(',') || TAILS.contains(&tail.as_str()));
                if matches!(wrapper, Wrapper::Suffix | Wrapper::Remark) {
                    product.tails.retain(|tail| tail.ends_with(".jpg") && !tail.contains('?'));
                }
            }
            if layout == Layout::Spilled {
                dialect.delimiter = ',';
                dialect.quotes_all = false;
            }
            // Lines in lines, and records of lists in records, are no export's.
            dialect.is_wrapped &= layout != Layout::Spilled && !dialect.space_behind_delimiter;
            dialect.declares_delimiter &= title_lines == 0 && !dialect.is_wrapped;
            let title_lines = if dialect.is_wrapped { 0 } else { title_lines };
            let ruler = ruler && !dialect.is_wrapped;
            Catalogue { products, layout, wrapper, separator, dialect, order, title_lines, ruler, total, blank_line }
        },
    )
}

impl Catalogue {
    /// All URLs of a product, in order.
    pub fn urls(&self, product: usize) -> Vec<String> {
        let first: usize = self.products[..product].iter().map(|product| product.tails.len()).sum();
        let tails = self.products[product].tails.iter().enumerate();
        let www = if self.wrapper == Wrapper::Www { "www." } else { "" };
        tails
            .map(|(index, tail)| format!("https://{www}a{}.example/{}-x{tail}", first % 3, first + index + 1))
            .collect()
    }

    pub fn all_urls(&self) -> Vec<String> {
        (0..self.products.len()).flat_map(|product| self.urls(product)).collect()
    }

    /// A URL as it is written within what is around it.
    pub fn written(&self, url: &str) -> String {
        match self.wrapper {
            Wrapper::EscapedJson => url.replace('/', "\\/").replace('&', "\\u0026"),
            Wrapper::Entities | Wrapper::Html => url.replace('&', "&amp;"),
            Wrapper::WithoutScheme => url.replacen("https:", "", 1),
            Wrapper::Www => url.replacen("https://", "", 1),
            _ => url.to_owned(),
        }
    }

    fn cell(&self, urls: &[String]) -> String {
        let each = |form: &dyn Fn(usize, String) -> String, separator: &str| {
            let cells: Vec<String> =
                urls.iter().enumerate().map(|(index, url)| form(index, self.written(url))).collect();
            cells.join(separator)
        };
        let listed = |open: &str, close: &str, quote: &str| {
            if urls.is_empty() {
                return String::new();
            }
            format!("{open}{}{close}", each(&|_, url| format!("{quote}{url}{quote}"), ", "))
        };
        let lines_or_commas = if self.separator.contains('\n') { "\n" } else { ", " };
        match self.wrapper {
            Wrapper::Quotes => each(&|_, url| format!("\"{url}\""), lines_or_commas),
            Wrapper::Suffix => each(&|_, url| format!("{url};front"), lines_or_commas),
            Wrapper::Remark => each(&|_, url| format!("{url} - front view"), "\n"),
            Wrapper::Bare | Wrapper::Entities | Wrapper::WithoutScheme | Wrapper::Www => {
                each(&|_, url| url, self.separator)
            }
            Wrapper::Hyperlink => each(&|_, url| format!("=HYPERLINK(\"{url}\",\"photo\")"), "\n"),
            Wrapper::Image => each(&|_, url| format!("=IMAGE(\"{url}\")"), "\n"),
            Wrapper::Markdown => each(&|index, url| format!("![photo {index}]({url})"), lines_or_commas),
            Wrapper::Html => each(&|_, url| format!("<img src=\"{url}\" alt=\"photo\">"), "\n"),
            Wrapper::Angles => each(&|_, url| format!("<{url}>"), lines_or_commas),
            Wrapper::Json | Wrapper::EscapedJson => listed("[", "]", "\""),
            Wrapper::Python => listed("['", "']", "").replace(", ", "', '"),
            Wrapper::Airtable => each(&|index, url| format!("photo{index}.jpg ({url})"), lines_or_commas),
            Wrapper::Label => each(&|index, url| format!("view {index}: {url}"), lines_or_commas),
            Wrapper::Numbers => each(&|index, url| format!("{}. {url}", index + 1), "\n"),
        }
    }

    /// The header and the records below it.
    pub fn table(&self) -> Vec<Vec<String>> {
        let most = self.products.iter().map(|product| product.tails.len()).max().unwrap_or(0).max(1);
        let image_columns: Vec<String> = match self.layout {
            Layout::List { column } => vec![column.to_owned()],
            Layout::Columns { name } => (0..most).map(|index| name.replace("{}", &(index + 1).to_string())).collect(),
            Layout::Gallery { first, others } => vec![first.to_owned(), others.to_owned()],
            Layout::Handle => vec!["Image Src".to_owned()],
            Layout::Merged | Layout::Spilled => vec!["Image".to_owned()],
        };
        let lead = match self.layout {
            Layout::Handle => "Handle",
            Layout::Merged | Layout::Spilled => "S. No",
            _ => "EAN",
        };
        let mut table =
            vec![self.arrange([lead.to_owned(), "Title".to_owned(), "Note".to_owned()], &image_columns, "Link")];
        for (index, product) in self.products.iter().enumerate() {
            let urls = self.urls(index);
            let number = match self.layout {
                Layout::Handle => format!("handle-{index}"),
                Layout::Merged | Layout::Spilled => (index + 1).to_string(),
                _ => format!("30463000{index:05}"),
            };
            let link = if product.link { "https://shop.example/page" } else { "" };
            let texts = [number.clone(), product.name.clone(), product.note.clone()];
            match self.layout {
                Layout::List { .. } => table.push(self.arrange(texts, &[self.cell(&urls)], link)),
                Layout::Columns { .. } => {
                    let cells = urls.chunks(1).map(|url| self.cell(url));
                    let cells: Vec<String> = cells.chain(std::iter::repeat(String::new())).take(most).collect();
                    table.push(self.arrange(texts, &cells, link));
                }
                Layout::Gallery { .. } => {
                    let (first, others) = urls.split_at(urls.len().min(1));
                    table.push(self.arrange(texts, &[self.cell(first), self.cell(others)], link));
                }
                Layout::Handle | Layout::Merged => {
                    table.push(self.arrange(texts, &[self.cell(&urls[..urls.len().min(1)])], link));
                    for url in urls.iter().skip(1) {
                        let number = if self.layout == Layout::Handle { number.clone() } else { String::new() };
                        let cell = self.cell(std::slice::from_ref(url));
                        table.push(self.arrange([number, String::new(), String::new()], &[cell], ""));
                    }
                }
                Layout::Spilled => {
                    let urls = if urls.is_empty() { vec![String::new()] } else { urls };
                    table.push(self.arrange(texts, &urls, link));
                }
            }
        }
        table
    }

    /// Puts the cells of a record in the order of the columns. URLs that spill stand last.
    fn arrange(&self, texts: [String; COLUMNS], images: &[String], link: &str) -> Vec<String> {
        let mut record: Vec<String> = self.order.iter().map(|&column| texts[column].clone()).collect();
        let at = if self.layout == Layout::Spilled { COLUMNS } else { self.order[0] };
        if self.layout != Layout::Spilled {
            record.push(link.to_owned());
        }
        record.splice(at..at, images.iter().cloned());
        record
    }

    /// The table as a file.
    pub fn file(&self) -> Vec<u8> {
        let table = self.table();
        let Dialect { delimiter, line_end, .. } = self.dialect;
        let mut lines = Vec::new();
        if self.dialect.declares_delimiter {
            lines.push(format!("sep={delimiter}"));
        }
        for line in 0..self.title_lines {
            lines.push(["Spring catalogue", "Exported on 2026-03-12"][line].to_owned());
        }
        let records = table.len();
        for (index, record) in table.iter().enumerate() {
            if self.blank_line == Some(index) {
                lines.push(String::new());
            }
            lines.push(self.line(record, index > 0));
            if self.ruler && index == 0 && records > 1 {
                lines.push(self.line(&vec!["---".to_owned(); record.len()], false));
            }
        }
        if self.total {
            let total = table[0].iter().map(|name| match name.as_str() {
                "EAN" | "Handle" | "S. No" => String::new(),
                "Title" => "Total".to_owned(),
                "Note" => "17".to_owned(),
                _ => String::new(),
            });
            lines.push(self.line(&total.collect::<Vec<_>>(), false));
        }
        if self.dialect.is_wrapped {
            lines = lines.into_iter().map(|line| format!("\"{}\"", line.replace('"', "\"\""))).collect();
        }
        let mut text = lines.join(line_end);
        if self.dialect.last_line_end {
            text.push_str(line_end);
        }
        self.encode(&text)
    }

    fn line(&self, record: &[String], is_product: bool) -> String {
        let Dialect { delimiter, quotes_all, space_behind_delimiter, .. } = self.dialect;
        let spills = self.layout == Layout::Spilled && is_product;
        let cells = record.iter().enumerate().map(|(index, cell)| {
            let needs = cell.contains([delimiter, '"', '\r', '\n']) || cell.starts_with(' ');
            if quotes_all || (needs && !(spills && index >= COLUMNS)) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell.clone()
            }
        });
        let between = if space_behind_delimiter { format!("{delimiter} ") } else { delimiter.to_string() };
        cells.collect::<Vec<_>>().join(&between)
    }

    pub fn encode(&self, text: &str) -> Vec<u8> {
        match self.dialect.encoding {
            Encoding::Utf8 => text.as_bytes().to_vec(),
            Encoding::Utf8WithMark => format!("\u{FEFF}{text}").into_bytes(),
            Encoding::Utf16Le => format!("\u{FEFF}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Encoding::Utf16Be => format!("\u{FEFF}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Encoding::Windows1252 => text.chars().map(|c| u8::try_from(c).expect("Latin-1")).collect(),
        }
    }

    pub fn decode(&self, bytes: &[u8]) -> String {
        let units = |unit: fn([u8; 2]) -> u16| {
            let units: Vec<u16> = bytes.chunks(2).map(|pair| unit([pair[0], pair[1]])).collect();
            String::from_utf16(&units).expect("UTF-16")
        };
        let text = match self.dialect.encoding {
            Encoding::Utf8 | Encoding::Utf8WithMark => String::from_utf8(bytes.to_vec()).expect("UTF-8"),
            Encoding::Utf16Le => units(u16::from_le_bytes),
            Encoding::Utf16Be => units(u16::from_be_bytes),
            Encoding::Windows1252 => return bytes.iter().map(|byte| char::from(*byte)).collect(),
        };
        text.strip_prefix('\u{FEFF}').unwrap_or(&text).to_owned()
    }
}
