/** The operations that are ready to run, from the upload to the result, in the order in which one uses them. */

export interface Operation {
  title: string;
  about: string;
  query: string;
  /** `newest` stands for the id of the newest request. */
  variables?: Record<string, unknown>;
}

/** Replaced by the id of the newest request when an operation is chosen. */
export const NEWEST = 'newest';

export const operations: Operation[] = [
  {
    title: 'Check a CSV',
    about: 'Reads the file and reports every problem. Nothing is stored. Choose a file above first.',
    query: `mutation CheckCsv($file: Upload!) {
  checkCsv(input: { file: $file }) {
    csv {
      encoding
      delimiter
      rowCount
      acceptedRowCount
      issueCount
      issues(first: 20) {
        edges {
          node {
            severity
            code
            message
            line
            row
            column
            value
          }
        }
      }
    }
    userErrors {
      code
      message
    }
  }
}
`,
    variables: { file: null },
  },
  {
    title: 'Estimate a CSV',
    about:
      'A subscription: the expected result, based on a sample. Nothing is stored. Choose a file above first.',
    query: `subscription EstimateCsv($input: EstimateInput!) {
  estimate(input: $input) {
    isFinal
    sampled
    images
    failing
    inputBytes
    outputBytes
    savedRatio
    seconds
    failureGroups {
      code
      host
      count
    }
  }
}
`,
    variables: { input: { file: null, compression: { quality: 50 }, sample: 20 } },
  },
  {
    title: 'Upload a CSV',
    about: 'Starts the compression and returns the request. Choose a file above first.',
    query: `mutation UploadCsv($file: Upload!, $compression: CompressionInput) {
  uploadCsv(input: { file: $file, compression: $compression, label: "playground" }) {
    processingRequest {
      id
      status
      progress {
        total
      }
    }
    csv {
      rowCount
      acceptedRowCount
      issueCount
    }
    userErrors {
      code
      message
      field
    }
  }
}
`,
    variables: { file: null, compression: { quality: 50 } },
  },
  {
    title: 'Watch a request',
    about: 'A subscription: the progress at once and at every change, until the request ends.',
    query: `subscription WatchRequest($id: ID!) {
  requestUpdated(id: $id) {
    status
    progress {
      total
      pending
      processing
      retrying
      succeeded
      failed
      percent
      imagesPerSecond
      estimatedSecondsRemaining
    }
    savings {
      savedBytes
      savedRatio
    }
  }
}
`,
    variables: { id: NEWEST },
  },
  {
    title: 'Watch its images',
    about:
      'A subscription: every image as it finishes. After a lost connection, pass the last cursor as `after`.',
    query: `subscription WatchImages($requestId: ID!, $after: String) {
  imageUpdated(requestId: $requestId, after: $after) {
    cursor
    image {
      inputUrl
      status
      outcome
      error {
        code
        message
      }
      source {
        byteSize
      }
      output {
        byteSize
        url
      }
    }
    progress {
      percent
    }
  }
}
`,
    variables: { requestId: NEWEST, after: null },
  },
  {
    title: 'The newest requests',
    about: 'The newest first, a page at a time.',
    query: `query NewestRequests($after: String) {
  processingRequests(first: 10, after: $after) {
    edges {
      node {
        id
        filename
        label
        status
        createdAt
        progress {
          total
          succeeded
          failed
        }
        savings {
          inputBytes
          outputBytes
          savedRatio
        }
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`,
    variables: { after: null },
  },
  {
    title: 'What failed, and why',
    about: 'Failures by cause and host, the most frequent first.',
    query: `query Failures($id: ID!) {
  processingRequest(id: $id) {
    status
    failureGroups {
      code
      host
      count
      retryable
      example {
        inputUrl
        error {
          message
          httpStatus
        }
        products(first: 1) {
          edges {
            node {
              rowNumber
              name
            }
          }
        }
      }
    }
  }
}
`,
    variables: { id: NEWEST },
  },
  {
    title: 'Images and their receipts',
    about: 'Sizes before and after, the quality used, and the decision in a sentence.',
    query: `query Images($id: ID!, $filter: ImageFilter, $after: String) {
  processingRequest(id: $id) {
    images(first: 20, after: $after, filter: $filter) {
      edges {
        node {
          id
          inputUrl
          status
          outcome
          warnings
          source {
            format
            byteSize
            width
            height
          }
          output {
            format
            byteSize
            width
            height
            url
          }
          receipt {
            quality
            score
            targetMet
            encodesTried
            decision
          }
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
}
`,
    variables: { id: NEWEST, filter: { status: ['SUCCEEDED'] }, after: null },
  },
  {
    title: 'Products and their new images',
    about: 'The rows of the CSV: each output URL belongs to the input URL at the same place.',
    query: `query Products($id: ID!, $after: String) {
  processingRequest(id: $id) {
    products(first: 20, after: $after) {
      edges {
        node {
          rowNumber
          serialNumber
          name
          inputImageUrls
          outputImageUrls
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
}
`,
    variables: { id: NEWEST, after: null },
  },
  {
    title: 'Result files',
    about: 'Signed links to the output CSV, the details of every image, and the rows that need attention.',
    query: `query Results($id: ID!) {
  processingRequest(id: $id) {
    status
    output: result(kind: OUTPUT_CSV) {
      url
      filename
      expiresAt
      isPartial
    }
    details: result(kind: DETAIL_CSV) {
      url
    }
    failedRows: result(kind: FAILED_ROWS_CSV) {
      url
    }
  }
}
`,
    variables: { id: NEWEST },
  },
  {
    title: 'Limits in force',
    about: 'What this server accepts, so that a client can check before it sends.',
    query: `query Limits {
  limits {
    csv {
      maxBytes
      maxImages
      maxImagesPerProduct
    }
    download {
      maxBytes
      totalTimeout
      maxAttempts
    }
    image {
      maxPixels
    }
    graphql {
      maxDepth
      maxComplexity
      maxPage
    }
  }
}
`,
  },
];
