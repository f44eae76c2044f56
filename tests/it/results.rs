//! The result files of a request: what each says of every row, at any time, and that failed rows can be sent again.

use std::io::Read as _;

use serde_json::{Value, json};

use crate::support::halftone::{Client, Halftone};
use crate::support::images;
use crate::support::origin::{Answer, Origin};

/// A CSV as its lines, each as its cells by column name.
struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn read(bytes: &[u8]) -> Self {
        let mut reader = csv::Reader::from_reader(bytes);
        let cells = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
        let header = cells(reader.headers().expect("a header"));
        let rows = reader.records().map(|record| cells(&record.expect("a record"))).collect();
        Self { header, rows }
    }

    fn column(&self, name: &str) -> Vec<&str> {
        let column = self.header.iter().position(|known| known == name).unwrap_or_else(|| panic!("no column {name}"));
        self.rows.iter().map(|row| row[column].as_str()).collect()
    }

    fn write(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in [&self.header].into_iter().chain(&self.rows) {
            writer.write_record(row).expect("memory has no errors");
        }
        writer.into_inner().expect("memory has no errors")
    }
}

/// The `result` field of this kind.
async fn result(client: &Client, id: &str, kind: &str) -> Value {
    let query = "query ($id: ID!, $kind: ResultKind!) { processingRequest(id: $id) {
        result(kind: $kind) { kind url filename isPartial } } }";
    client.query(query, json!({ "id": id, "kind": kind })).await["processingRequest"]["result"].take()
}

async fn table(client: &Client, id: &str, kind: &str) -> Table {
    let file = result(client, id, kind).await;
    assert_eq!(file["kind"], kind);
    Table::read(&client.download(file["url"].as_str().unwrap()).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_result_says_what_became_of_every_row_and_failed_rows_are_corrected_and_sent_again() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let mug = origin.set("mug.jpg", Answer::Image(images::jpeg(160, 120, 1)));
    let bowl = origin.set("bowl.jpg", Answer::Image(images::jpeg(160, 120, 2)));
    let missing = origin.url("missing.jpg");
    let sheet = format!(
        "S. No,Product Name,Input Image Urls,Colour\n\
         7,Mug,\"{mug},{missing}\",red\n\
         8,,{mug},green\n\
         9,Bowl,\"{bowl},{bowl}\",\"{{\"\"blue\"\",\\\\,NULL}}\"\n\
         10,Vase,\"ftp://127.0.0.1/vase.jpg,{mug}\",=1+1\n\
         11,Jug,,white\n"
    );
    let id = client.accepted(&sheet, json!({})).await;
    assert_eq!(client.finished(&id).await["status"], "COMPLETED_WITH_ERRORS");
    let images = client.images(&id).await;
    let (mug_image, missing_image) = (&images[0], &images[1]);

    let output = table(client, &id, "OUTPUT_CSV").await;
    assert_eq!(output.column("S. No"), ["7", "8", "9", "10", "11"]);
    assert_eq!(output.column("Colour"), ["red", "green", r#"{"blue",\\,NULL}"#, "'=1+1", "white"]);
    let mug_output = mug_image["output"]["url"].as_str().unwrap();
    let outputs = output.column("Output Image Urls");
    assert_eq!((outputs[0], outputs[3]), (&*format!("{mug_output},"), &*format!(",{mug_output}")));
    assert_eq!((outputs[1], outputs[4]), ("", ""));

    let details = table(client, &id, "DETAIL_CSV").await;
    assert_eq!(details.column("Row"), ["1", "1", "2", "3", "3", "4", "4", "5"]);
    assert_eq!(details.column("S. No"), ["7", "7", "8", "9", "9", "10", "10", "11"]);
    assert_eq!(details.column("Position"), ["1", "2", "1", "1", "2", "1", "2", ""]);
    assert_eq!(
        details.column("Status"),
        ["SUCCEEDED", "FAILED", "REJECTED", "SUCCEEDED", "SUCCEEDED", "REJECTED", "SUCCEEDED", "REJECTED"]
    );
    assert_eq!(
        details.column("Code"),
        ["", "HTTP_NOT_FOUND", "EMPTY_PRODUCT_NAME", "", "", "UNSUPPORTED_SCHEME", "", "NO_IMAGE_URLS"]
    );
    assert_eq!(details.column("HTTP Status")[..3], ["", "404", ""]);
    assert_eq!(details.column("Reason")[1], missing_image["error"]["message"]);
    for rejected in [2, 5, 7] {
        assert!(details.column("Reason")[rejected].ends_with('.'), "{}", details.column("Reason")[rejected]);
    }
    assert_eq!(details.column("Input Image Url")[5], "ftp://127.0.0.1/vase.jpg");
    assert_eq!(details.column("Outcome")[0], "COMPRESSED");
    let number = |name, line: usize| details.column(name)[line].parse::<u64>().unwrap();
    let (before, after) = (number("Bytes Before", 0), number("Bytes After", 0));
    assert_eq!(
        (json!(before), json!(after)),
        (mug_image["source"]["byteSize"].clone(), mug_image["output"]["byteSize"].clone())
    );
    assert_eq!(number("Saved Bytes", 0), before - after);
    assert_eq!(details.column("Saved %")[0], format!("{:.1}", 100.0 * (before - after) as f64 / before as f64));
    assert_eq!(details.column("Output Image Url")[..2], [mug_output, ""]);
    assert_eq!(details.rows[3][4..], details.rows[4][4..], "the same image at two places");

    let mut failed = table(client, &id, "FAILED_ROWS_CSV").await;
    assert_eq!(failed.header, ["S. No", "Product Name", "Input Image Urls", "Colour", "Reason"]);
    assert_eq!(failed.column("S. No"), ["7", "8", "10", "11"]);
    let reasons = failed.column("Reason");
    assert_eq!(reasons[0], format!("{missing}: {}", missing_image["error"]["message"].as_str().unwrap()));
    assert!(reasons[2].starts_with("ftp://127.0.0.1/vase.jpg: "), "{}", reasons[2]);

    let again = client.upload(failed.write(), json!({})).await;
    assert_eq!((&again["csv"]["acceptedRowCount"], &again["csv"]["rejectedRowCount"]), (&json!(2), &json!(2)));
    let found = origin.set("found.jpg", Answer::Image(images::jpeg(160, 120, 3)));
    failed.rows[0][2] = failed.rows[0][2].replace(&missing, &found);
    failed.rows[1][1] = "Plate".to_owned();
    failed.rows[2][2] = failed.rows[2][2].replace("ftp://127.0.0.1/vase.jpg", &found);
    failed.rows[3][2].clone_from(&bowl);
    let again = client.upload(failed.write(), json!({})).await;
    assert_eq!((&again["csv"]["issueCount"], &again["userErrors"]), (&json!(0), &json!([])), "{again}");
    let id = again["processingRequest"]["id"].as_str().unwrap();
    assert_eq!(client.finished(id).await["status"], "COMPLETED");
    let output = table(client, id, "OUTPUT_CSV").await;
    assert_eq!(
        output.header,
        ["S. No", "Product Name", "Input Image Urls", "Output Image Urls", "Colour"],
        "the reasons are left behind"
    );
    assert_eq!(output.column("Colour"), ["red", "green", "'=1+1", "white"]);
    assert!(output.column("Output Image Urls").iter().all(|urls| urls.starts_with("http") && !urls.ends_with(',')));
    assert_eq!(table(client, id, "FAILED_ROWS_CSV").await.rows.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_snapshots_while_a_request_runs_and_say_what_was_canceled() {
    let halftone = Halftone::start(&["--compressions", "0"]).await;
    let client = &halftone.client;
    let sheet = "S. No,Product Name,Input Image Urls\n1,SKU1,https://www.example.com/1.jpg\n2,SKU2,nonsense\n";
    let id = client.accepted(sheet, json!({})).await;
    let file = result(client, &id, "FAILED_ROWS_CSV").await;
    assert_eq!((&file["isPartial"], &file["filename"]), (&json!(true), &json!("catalogue_failed_rows.csv")));
    assert_eq!(table(client, &id, "FAILED_ROWS_CSV").await.column("S. No"), ["2"]);
    assert_eq!(table(client, &id, "DETAIL_CSV").await.column("Status"), ["PENDING", "REJECTED"]);

    let cancel = "mutation ($id: ID!) { cancelProcessingRequest(id: $id) { userErrors { message } } }";
    client.query(cancel, json!({ "id": id })).await;
    let file = result(client, &id, "DETAIL_CSV").await;
    assert_eq!((&file["isPartial"], &file["filename"]), (&json!(false), &json!("catalogue_details.csv")));
    assert_eq!(table(client, &id, "DETAIL_CSV").await.column("Status"), ["CANCELED", "REJECTED"]);
    let failed = table(client, &id, "FAILED_ROWS_CSV").await;
    assert_eq!(failed.column("S. No"), ["1", "2"]);
    assert!(failed.column("Reason")[0].contains("canceled"), "{:?}", failed.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_problems_than_are_kept_leave_no_row_without_a_reason() {
    let halftone = Halftone::start(&["--compressions", "0", "--max-csv-issues", "3"]).await;
    let client = &halftone.client;
    let mut sheet = "Product Name,Input Image Urls\nSKU,https://www.example.com/1.jpg\n".to_owned();
    for row in 0..600 {
        sheet += &format!("SKU{row},nonsense{row}\n");
    }
    let id = client.accepted(&sheet, json!({})).await;
    let failed = table(client, &id, "FAILED_ROWS_CSV").await;
    let reasons = failed.column("Reason");
    assert_eq!(reasons.len(), 600);
    assert!((0..3).all(|row| reasons[row].starts_with(&format!("nonsense{row}: "))), "{:?}", &reasons[..4]);
    assert!(reasons[3..].iter().all(|reason| reason.contains("more problems than are kept")), "{}", reasons[3]);
    assert_eq!(failed.column("S. No")[599], "601", "the row number stands in");
    assert_eq!(table(client, &id, "DETAIL_CSV").await.rows.len(), 601);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_compressed_and_marked_for_excel_for_those_who_ask() {
    let halftone = Halftone::start(&["--compressions", "0"]).await;
    let client = &halftone.client;
    let mut sheet = "S. No,Product Name,Input Image Urls\n".to_owned();
    for row in 1..=2_500 {
        sheet += &format!("{row},Käse {row},https://www.example.com/{row}.jpg\n");
    }
    let id = client.accepted(&sheet, json!({})).await;
    let file = result(client, &id, "OUTPUT_CSV").await;
    let link = file["url"].as_str().unwrap();

    let plain = client.http.get(link).send().await.unwrap();
    assert_eq!(plain.headers().get("content-encoding"), None);
    let length: usize = plain.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let plain = plain.bytes().await.unwrap();
    assert_eq!(plain.len(), length);
    assert_eq!(Table::read(&plain).rows.len(), 2_500);

    let packed = client.http.get(link).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert_eq!(packed.headers()["content-type"], "text/csv; charset=utf-8");
    assert_eq!(packed.headers()["vary"], "accept-encoding");
    assert_eq!(packed.headers().get("content-length"), None);
    let packed = packed.bytes().await.unwrap();
    assert!(packed.len() * 4 < plain.len(), "{} of {}", packed.len(), plain.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == plain);

    let workbook =
        client.http.get(format!("{link}&format=xlsx")).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(workbook.headers().get("content-encoding"), None, "it is packed already");
    assert!(workbook.headers()["content-type"].to_str().unwrap().ends_with(".sheet"));
    assert!(workbook.headers()["content-disposition"].to_str().unwrap().contains("\"catalogue_output.xlsx\""));
    let again = client.upload(workbook.bytes().await.unwrap().to_vec(), json!({})).await;
    assert_eq!((&again["csv"]["acceptedRowCount"], &again["csv"]["issueCount"]), (&json!(2_500), &json!(0)));
    assert!(client.download(&format!("{link}&format=csv")).await == plain);
    assert_eq!(client.http.get(format!("{link}&format=pdf")).send().await.unwrap().status(), 404);

    let marked = client.download(&format!("{link}&bom=1")).await;
    assert!(marked.strip_prefix("\u{FEFF}".as_bytes()) == Some(&plain[..]));
    assert!(client.download(&format!("{link}&bom=0")).await == plain);
    let again = client.upload(marked.to_vec(), json!({})).await;
    assert_eq!((&again["csv"]["acceptedRowCount"], &again["csv"]["issueCount"]), (&json!(2_500), &json!(0)));
    for link in [link.replace("output.csv", "details.csv"), link.replace("signature=", "signature=x")] {
        assert_eq!(client.http.get(format!("{link}&bom=1")).send().await.unwrap().status(), 404);
    }
}
