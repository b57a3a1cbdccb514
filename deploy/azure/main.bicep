// Groundwork on App Service for containers, with Azure Database for PostgreSQL, Azure Managed Redis and a Key Vault.
// docs/deployment/azure.md. The app runs its jobs itself: App Service stops a container that does not listen, as a worker.

param location string = resourceGroup().location

@description('Part of every name; letters and digits. Some have to be unique in all of Azure.')
@minLength(3)
@maxLength(12)
param name string

@description('The registry in this resource group, without .azurecr.io.')
param registry string

@description('The image in it, with its tag: groundwork:1')
param image string

@description('The names that the API answers to, with commas between; empty: the one that App Service gives it.')
param allowedHosts string = ''

@secure()
@minLength(32)
param secretKey string

@secure()
@description('While SECRET_KEY is changed, the new one and the old one, with a comma between.')
param secretKeyPrevious string = ''

@secure()
@minLength(32)
@description('Letters and digits only, since it stands in an address; Azure wants a capital among them.')
param databasePassword string

@description('B1 is the least that is always on; P0v3 the least with slots.')
param planSku string = 'B1'
param instances int = 1
param databaseSku string = 'Standard_B1ms'

@description('With a standby in another zone. Not for Burstable (Standard_B...).')
param highlyAvailable bool = false

var host = '${name}.azurewebsites.net'
var acrPull = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '7f951dda-4ed3-4680-a7ca-43fe172d538d')
var secretsUser = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: name
  location: location
}

resource images 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = {
  name: registry
}

resource maySeeImages 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(images.id, identity.id, acrPull)
  scope: images
  properties: { principalId: identity.properties.principalId, principalType: 'ServicePrincipal', roleDefinitionId: acrPull }
}

// The network: the app's way out, and the database's own subnet, where nothing else reaches it.
resource network 'Microsoft.Network/virtualNetworks@2023-11-01' = {
  name: name
  location: location
  properties: {
    addressSpace: { addressPrefixes: ['10.30.0.0/16'] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: '10.30.0.0/24'
          delegations: [{ name: 'app', properties: { serviceName: 'Microsoft.Web/serverFarms' } }]
        }
      }
      {
        name: 'database'
        properties: {
          addressPrefix: '10.30.1.0/24'
          delegations: [{ name: 'database', properties: { serviceName: 'Microsoft.DBforPostgreSQL/flexibleServers' } }]
        }
      }
    ]
  }
}

resource zone 'Microsoft.Network/privateDnsZones@2020-06-01' = {
  name: '${name}.private.postgres.database.azure.com'
  location: 'global'
}

resource zoneLink 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = {
  parent: zone
  name: name
  location: 'global'
  properties: { registrationEnabled: false, virtualNetwork: { id: network.id } }
}

resource server 'Microsoft.DBforPostgreSQL/flexibleServers@2024-08-01' = {
  name: name
  location: location
  sku: { name: databaseSku, tier: startsWith(databaseSku, 'Standard_B') ? 'Burstable' : 'GeneralPurpose' }
  properties: {
    version: '17'
    administratorLogin: 'groundwork'
    administratorLoginPassword: databasePassword
    storage: { storageSizeGB: 32, autoGrow: 'Enabled' }
    backup: { backupRetentionDays: 14, geoRedundantBackup: 'Disabled' }
    highAvailability: { mode: highlyAvailable ? 'ZoneRedundant' : 'Disabled' }
    network: { delegatedSubnetResourceId: network.properties.subnets[1].id, privateDnsZoneArmResourceId: zone.id }
  }
  dependsOn: [zoneLink]
}

resource database 'Microsoft.DBforPostgreSQL/flexibleServers/databases@2024-08-01' = {
  parent: server
  name: 'groundwork'
}

// Limits and the cache: while it is away, each process counts for itself.
resource redis 'Microsoft.Cache/redisEnterprise@2024-10-01' = {
  name: name
  location: location
  sku: { name: 'Balanced_B0' }
  properties: { minimumTlsVersion: '1.2', highAvailability: highlyAvailable ? 'Enabled' : 'Disabled' }
}

resource redisDatabase 'Microsoft.Cache/redisEnterprise/databases@2024-10-01' = {
  parent: redis
  name: 'default'
  properties: {
    clientProtocol: 'Encrypted'
    port: 10000
    clusteringPolicy: 'EnterpriseCluster' // one address, as for a single server
    evictionPolicy: 'AllKeysLRU'
    accessKeysAuthentication: 'Enabled'
  }
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: name
  location: location
  properties: {
    tenantId: subscription().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enablePurgeProtection: true
  }
}

resource maySeeSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identity.id, secretsUser)
  scope: vault
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: secretsUser
  }
}

resource keySecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  parent: vault
  name: 'secret-key'
  properties: { value: secretKey }
}

resource previousKeySecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = if (!empty(secretKeyPrevious)) {
  parent: vault
  name: 'secret-key-previous'
  properties: { value: secretKeyPrevious }
}

resource databaseSecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  parent: vault
  name: 'database-url'
  properties: {
    value: 'postgresql://groundwork:${databasePassword}@${server.properties.fullyQualifiedDomainName}/groundwork?sslmode=require'
  }
}

resource redisSecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  parent: vault
  name: 'redis-url'
  properties: {
    value: 'rediss://:${uriComponent(redisDatabase.listKeys().primaryKey)}@${redis.properties.hostName}:10000/0'
  }
}

resource plan 'Microsoft.Web/serverfarms@2023-12-01' = {
  name: name
  location: location
  kind: 'linux'
  sku: { name: planSku, capacity: instances }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2023-12-01' = {
  name: name
  location: location
  kind: 'app,linux,container'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identity.id}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    virtualNetworkSubnetId: network.properties.subnets[0].id
    keyVaultReferenceIdentity: identity.id
    siteConfig: {
      linuxFxVersion: 'DOCKER|${images.properties.loginServer}/${image}'
      acrUseManagedIdentityCreds: true
      acrUserManagedIdentityID: identity.properties.clientId
      alwaysOn: true
      ftpsState: 'Disabled'
      http20Enabled: true
      minTlsVersion: '1.2'
      vnetRouteAllEnabled: true
      healthCheckPath: '/health/live' // whatever fails it is replaced, which mends no database
      appSettings: [
        { name: 'WEBSITES_PORT', value: '8000' }
        { name: 'WEBSITES_ENABLE_APP_SERVICE_STORAGE', value: 'false' }
        { name: 'WEBSITES_CONTAINER_START_TIME_LIMIT', value: '300' } // it migrates before it listens
        { name: 'WEBSITES_CONTAINER_STOP_TIME_LIMIT', value: '60' }
        { name: 'PORT', value: '8000' }
        // What the front ends ask from; they write the client's address last into X-Forwarded-For.
        { name: 'FORWARDED_ALLOW_IPS', value: '169.254.0.0/16,172.16.0.0/12,10.0.0.0/8' }
        { name: 'ALLOWED_HOSTS', value: empty(allowedHosts) ? host : '${host},${allowedHosts}' }
        { name: 'KEEP_ALIVE_SECONDS', value: '300' }
        { name: 'METRICS_ENABLED', value: 'false' } // nothing keeps /metrics from the outside here
        // With their versions: without, App Service reads them a day late, and a restart may come up with the old ones.
        { name: 'SECRET_KEY', value: '@Microsoft.KeyVault(SecretUri=${keySecret.properties.secretUriWithVersion})' }
        {
          name: 'SECRET_KEY_PREVIOUS'
          value: empty(secretKeyPrevious) ? '' : '@Microsoft.KeyVault(SecretUri=${previousKeySecret.?properties.secretUriWithVersion ?? ''})'
        }
        { name: 'DATABASE_URL', value: '@Microsoft.KeyVault(SecretUri=${databaseSecret.properties.secretUriWithVersion})' }
        { name: 'REDIS_URL', value: '@Microsoft.KeyVault(SecretUri=${redisSecret.properties.secretUriWithVersion})' }
      ]
    }
  }
  dependsOn: [database, maySeeImages, maySeeSecrets]
}

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: name
  location: location
  properties: { sku: { name: 'PerGB2018' }, retentionInDays: 30 }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'logs'
  scope: app
  properties: { workspaceId: logs.id, logs: [{ category: 'AppServiceConsoleLogs', enabled: true }] }
}

output address string = 'https://${host}'
