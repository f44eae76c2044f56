// What relay-compiler reads: a paginated query, an upload and a subscription.
import { graphql } from 'relay-runtime';

graphql`
  query RelayQuery($id: ID!) {
    processingRequest(id: $id) {
      status
      outputCsvUrl
      progress {
        total
        succeeded
      }
      images(first: 10) @connection(key: "RelayQuery_images") {
        edges {
          node {
            inputUrl
          }
        }
      }
    }
  }
`;

graphql`
  mutation RelayUploadMutation($file: Upload!) {
    uploadCsv(input: { file: $file }) {
      processingRequest {
        id
      }
      userErrors {
        message
      }
    }
  }
`;

graphql`
  subscription RelaySubscription($id: ID!) {
    requestUpdated(id: $id) {
      status
      progress {
        percent
      }
    }
  }
`;
