/** A point of the Earth, in degrees: north and east are positive. */
export type Position = { readonly latitude: number; readonly longitude: number }

/**
 * Where Google's regions are: the town that Google names, to a hundredth of a degree, about a kilometre. Zones of a region
 * are a few kilometres apart, so that all of them are where it is.
 *
 * Checked one by one against the towns: public tables have the names of asia-south1 (Mumbai) and asia-south2 (Delhi)
 * swapped, and us-west3 (Salt Lake City) in Los Angeles.
 */
export const GOOGLE_REGIONS: ReadonlyMap<string, Position> = new Map(
  Object.entries({
    // Johannesburg
    'africa-south1': { latitude: -26.2, longitude: 28.05 },
    // Changhua County, Taiwan
    'asia-east1': { latitude: 24.05, longitude: 120.52 },
    // Hong Kong
    'asia-east2': { latitude: 22.32, longitude: 114.17 },
    // Tokyo
    'asia-northeast1': { latitude: 35.68, longitude: 139.69 },
    // Osaka
    'asia-northeast2': { latitude: 34.69, longitude: 135.5 },
    // Seoul
    'asia-northeast3': { latitude: 37.57, longitude: 126.98 },
    // Mumbai
    'asia-south1': { latitude: 19.08, longitude: 72.88 },
    // Delhi
    'asia-south2': { latitude: 28.61, longitude: 77.21 },
    // Jurong West, Singapore
    'asia-southeast1': { latitude: 1.34, longitude: 103.71 },
    // Jakarta
    'asia-southeast2': { latitude: -6.21, longitude: 106.85 },
    // Bangkok
    'asia-southeast3': { latitude: 13.76, longitude: 100.5 },
    // Sydney
    'australia-southeast1': { latitude: -33.87, longitude: 151.21 },
    // Melbourne
    'australia-southeast2': { latitude: -37.81, longitude: 144.96 },
    // Warsaw
    'europe-central2': { latitude: 52.23, longitude: 21.01 },
    // Hamina, Finland
    'europe-north1': { latitude: 60.57, longitude: 27.2 },
    // Stockholm
    'europe-north2': { latitude: 59.33, longitude: 18.07 },
    // Madrid
    'europe-southwest1': { latitude: 40.42, longitude: -3.7 },
    // Saint-Ghislain, Belgium
    'europe-west1': { latitude: 50.45, longitude: 3.82 },
    // Berlin
    'europe-west10': { latitude: 52.52, longitude: 13.4 },
    // Turin
    'europe-west12': { latitude: 45.07, longitude: 7.69 },
    // London
    'europe-west2': { latitude: 51.51, longitude: -0.13 },
    // Frankfurt
    'europe-west3': { latitude: 50.11, longitude: 8.68 },
    // Eemshaven, Netherlands
    'europe-west4': { latitude: 53.44, longitude: 6.83 },
    // Zurich
    'europe-west6': { latitude: 47.37, longitude: 8.54 },
    // Milan
    'europe-west8': { latitude: 45.46, longitude: 9.19 },
    // Paris
    'europe-west9': { latitude: 48.86, longitude: 2.35 },
    // Doha
    'me-central1': { latitude: 25.29, longitude: 51.53 },
    // Dammam
    'me-central2': { latitude: 26.43, longitude: 50.1 },
    // Tel Aviv
    'me-west1': { latitude: 32.09, longitude: 34.78 },
    // Montréal
    'northamerica-northeast1': { latitude: 45.5, longitude: -73.57 },
    // Toronto
    'northamerica-northeast2': { latitude: 43.65, longitude: -79.38 },
    // Querétaro
    'northamerica-south1': { latitude: 20.59, longitude: -100.39 },
    // Osasco, São Paulo
    'southamerica-east1': { latitude: -23.53, longitude: -46.79 },
    // Santiago
    'southamerica-west1': { latitude: -33.45, longitude: -70.67 },
    // Council Bluffs, Iowa
    'us-central1': { latitude: 41.26, longitude: -95.86 },
    // Moncks Corner, South Carolina
    'us-east1': { latitude: 33.2, longitude: -80.01 },
    // Ashburn, Virginia
    'us-east4': { latitude: 39.04, longitude: -77.49 },
    // Columbus, Ohio
    'us-east5': { latitude: 39.96, longitude: -83 },
    // Dallas
    'us-south1': { latitude: 32.78, longitude: -96.8 },
    // The Dalles, Oregon
    'us-west1': { latitude: 45.59, longitude: -121.18 },
    // Los Angeles
    'us-west2': { latitude: 34.05, longitude: -118.24 },
    // Salt Lake City
    'us-west3': { latitude: 40.76, longitude: -111.89 },
    // Las Vegas
    'us-west4': { latitude: 36.17, longitude: -115.14 },
  }),
)
